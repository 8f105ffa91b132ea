#pragma once
// Precision-recall curves of COCO's metric as a picture.

#include <span>
#include <string>

#include "recipes/tasks/detection/coco_metric.h"

namespace capstan::detection {

/// SVG: interpolated precision over recall, the mean of the categories at IoU .5, .75 and over all ten thresholds, then at IoU .5 the
/// categories with most boxes. Where there is nothing to be found it says so.
std::string curves_svg(const CocoMetric::Result& result, std::span<const std::string> names);

}  // namespace capstan::detection
