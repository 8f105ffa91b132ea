#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::translate {
/// A transformer that translates: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::translate
