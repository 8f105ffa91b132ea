#pragma once
// Swin: the task image_classification with the network of nn/models/swin.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"

namespace capstan::swin {

engine::RecipeEntry recipe();

}  // namespace capstan::swin
