#pragma once
// The metric of COCO from files: results of any detector against annotations, both in COCO's JSON (data/detection/coco.h).

#include <string>

#include "recipes/engine/command/score_files.h"
#include "recipes/tasks/detection/coco_metric.h"

namespace capstan::detection {

/// Boxes without area and outside their image count as those to be found, as in pycocotools.
engine::FileScores score_files(const std::string& detections, const std::string& annotations);

/// A line for each category, below a head line: its boxes and detections, average precisions and recall; "-" where there is nothing to be
/// found.
std::string category_table(const CocoMetric::Result& result, std::span<const std::string> names);

}  // namespace capstan::detection
