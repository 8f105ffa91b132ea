#pragma once
// What an evaluation of detections shows beside its metrics: precision and recall, how each class is found, and pictures with the true
// boxes and those that were found.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/detection/annotations.h"
#include "recipes/engine/recipe.h"
#include "recipes/engine/report/finding.h"
#include "recipes/tasks/detection/coco_metric.h"
#include "recipes/tasks/detection/dataset.h"

namespace capstan::detection {

/// The boxes that a model finds in an image of a part, with their classes.
using FoundBoxes = std::function<std::vector<data::DetectedBox>(std::int64_t index)>;

/// Curves and numbers by class. `names` of the categories of the metric.
std::vector<engine::Finding> findings_of(const CocoMetric::Result& result, std::span<const std::string> names);
/// Images at equal distances in the part; of what is found what scores at least `threshold`.
engine::Finding boxes_finding(const Dataset& data, engine::Split part, const FoundBoxes& found, double threshold);

}  // namespace capstan::detection
