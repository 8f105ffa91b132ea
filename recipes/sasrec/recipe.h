#pragma once
// SASRec: the task next_item with the network of nn/models/sasrec.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"

namespace capstan::sasrec {

engine::RecipeEntry recipe();

}  // namespace capstan::sasrec
