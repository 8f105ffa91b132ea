#pragma once
// The command export: a model in the form of another program.

#include <span>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// CHECKPOINT (or a model directory) and what to write: FILE.safetensors, with our names or those of a form of the recipe, or a directory
/// with all that the form has beside the weights.
int export_model(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
