#pragma once
// GRU4Rec: the task next_event with the network of nn/models/gru4rec.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"

namespace capstan::gru4rec {

engine::RecipeEntry recipe();

}  // namespace capstan::gru4rec
