#pragma once
// The commands of `capstan` on one recipe.

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/configure.h"

namespace capstan::engine {

/// Runs a command; returns the exit code. Throws what goes wrong.
int run_recipe(const RecipeEntry& recipe, const CommandLine& line, const Console& console);

}  // namespace capstan::engine
