#pragma once
// ViT: the task image_classification with the network of nn/models/vit.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"

namespace capstan::vit {

engine::RecipeEntry recipe();

}  // namespace capstan::vit
