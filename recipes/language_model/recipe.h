#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::language_model {
/// A transformer that goes on with a text: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::language_model
