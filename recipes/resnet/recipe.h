#pragma once
// ResNet: the task image_classification with the network of nn/models/resnet.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"

namespace capstan::resnet {

engine::RecipeEntry recipe();

}  // namespace capstan::resnet
