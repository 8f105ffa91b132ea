#include "recipes/detr/recipe.h"

#include "recipes/tasks/detection/score_files.h"

namespace capstan::detr {

engine::FileScorer file_scorer() { return {.recipe = "detr", .score = detection::score_files}; }

}  // namespace capstan::detr
