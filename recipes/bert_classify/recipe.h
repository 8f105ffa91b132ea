#pragma once
#include "recipes/engine/any_recipe.h"

namespace capstan::bert_classify {
/// BERT that tells the label of a text or of a pair of texts, or a number: README.md.
engine::RecipeEntry recipe();
}  // namespace capstan::bert_classify
