#pragma once
// DETR: the task detection. README.md says how to use it.

#include "recipes/engine/command/score_files.h"

namespace capstan::detr {

/// `capstan evaluate detr --detections FILE --annotations FILE`.
engine::FileScorer file_scorer();

}  // namespace capstan::detr
