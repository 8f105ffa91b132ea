#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::lstm_translate {
/// LSTMs with attention and input feeding that translate: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::lstm_translate
