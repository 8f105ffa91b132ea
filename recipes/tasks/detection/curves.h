#pragma once
// Precision-recall curves of COCO's metric as numbers and as a picture.

#include <span>
#include <string>
#include <vector>

#include "data/figure.h"
#include "recipes/tasks/detection/coco_metric.h"

namespace capstan::detection {

/// Interpolated precision over recall, the mean of the categories at IoU .5, .75 and over all ten thresholds, then at IoU .5 the
/// categories with most boxes; none where there is nothing to be found.
std::vector<data::Curve> precision_curves(const CocoMetric::Result& result, std::span<const std::string> names);
/// The same as SVG. Where there is nothing to be found it says so.
std::string curves_svg(const CocoMetric::Result& result, std::span<const std::string> names);

}  // namespace capstan::detection
