#pragma once
// Completion: a script with which bash completes commands, configurations, flags, keys and the choices of a key. It holds what it knows:
// nothing runs while a person types, and a new version of the program needs a new script.

#include <span>
#include <string>

#include "recipes/engine/any_recipe.h"

namespace capstan::engine {

/// For `source <(capstan completion bash)`.
std::string bash_completion(std::span<const RecipeEntry> recipes);

}  // namespace capstan::engine
