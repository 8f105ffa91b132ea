#pragma once
// Evaluation: what a model finds in the images of a part.
//
// Metrics: the twelve numbers of COCO (coco_metric.h), with evaluate.per_class ap/<class>, the loss of the last layer and its three terms
// (set_loss.h), and of the matching class_error, the share of objects whose query says another class, and cardinality_error, by how many
// an image's predictions that are not "no object" differ from its objects.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/detection/annotations.h"
#include "data/detection/coco.h"
#include "recipes/engine/metrics/metric.h"
#include "recipes/tasks/detection/batch.h"
#include "recipes/tasks/detection/coco_metric.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/findings.h"
#include "recipes/tasks/detection/network.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// A prediction after softmax: the most probable class but for "no object".
struct Detection {
  data::DetectedBox found;  ///< pixels of the image; the category is a class
  std::int64_t query = 0;
};
/// One for each query of an image, from answers of the last layer; boxes in an image of this size. Throws NumericalError if one is not
/// finite.
std::vector<Detection> detections_of(const Answers& answers, std::int64_t image, std::int64_t height, std::int64_t width);

/// The loss of cases and its terms.
class SetLossMean : public engine::Accumulator {
 public:
  SetLossMean() : Accumulator(9) {}
  void add(const Answers& answers, const Batch& batch, const LossOptions& options);
  std::vector<engine::MetricInfo> metrics() const override;
  std::vector<double> values() const override;
};

class Evaluation {
 public:
  /// `part`: where the images come from. `found`: for the pictures among the findings, there are none without.
  Evaluation(const Dataset& data, engine::Split part, const Options& options, FoundBoxes found = {});

  void add(const Batch& batch, const Answers& answers);
  std::vector<engine::Accumulator*> accumulators() { return {&coco_, &loss_}; }
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
  const CocoMetric& coco() const { return coco_; }
  /// Of the categories of coco().
  std::vector<std::string> names() const;
  /// Everything found, in COCO's form; empty unless evaluate.results asks for it.
  const data::CocoResults& results() const { return results_; }
  /// What was found in the first images, a line each.
  std::vector<std::string> examples() const { return examples_; }
  std::vector<engine::Finding> findings() const;

 private:
  const Dataset* data_;
  engine::Split part_;
  LossOptions loss_options_;
  bool keeps_results_;
  std::vector<std::int64_t> rank_;  // of a class among those that a category has, the categories of the metric
  CocoMetric coco_;
  SetLossMean loss_;
  data::CocoResults results_;
  std::vector<std::string> examples_;
  FoundBoxes found_;
  double threshold_;
};

/// What predicting the same boxes for every image comes to. The boxes: of a hundred drawn from the training part those that lie apart, each
/// with the share of training images in which it would meet an object of its class, IoU .5: f64 [boxes, 6] = class, score, cx, cy, w, h.
Tensor typical_boxes(const Dataset& data);
/// Metrics under typical_boxes/.
engine::Metrics baselines(const Tensor& typical, const Dataset& data, engine::Split part);

}  // namespace capstan::detection
