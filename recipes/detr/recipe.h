#pragma once
// DETR: the task detection with the network of nn/models/detr.h. README.md says how to use it.

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/score_files.h"

namespace capstan::detr {

engine::RecipeEntry recipe();

/// `capstan evaluate detr --detections FILE --annotations FILE`.
engine::FileScorer file_scorer();

}  // namespace capstan::detr
