#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::lstm_classify {
/// A bidirectional LSTM with attention that tells the label of a text or of a pair of texts, or a number: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::lstm_classify
