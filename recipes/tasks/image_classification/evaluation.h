#pragma once
// Evaluation: how many images of a part are recognised, and which classes are taken for which.
//
// Metrics: accuracy, with evaluate.per_class recall/<class>, above five classes top5_accuracy, loss (cross-entropy without smoothing), and
// with data.broken = skip skipped_images: images that stand in for broken files do not count. Among equal logits the lower class wins.

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/metrics/classification.h"
#include "recipes/tasks/image_classification/batch.h"
#include "recipes/tasks/image_classification/dataset.h"
#include "recipes/tasks/image_classification/findings.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::image_classification {

struct Evaluation {
  /// `data` outlives this. `part`: where the images come from.
  Evaluation(const Dataset& data, engine::Split part, const std::vector<std::string>& class_names, const Options& options,
             ShownImages::Look look = {});

  /// `logits` f32 [B, classes] of the images of the batch. Throws NumericalError if one is NaN.
  void add(const Batch& batch, const Tensor& logits);
  std::vector<engine::Accumulator*> accumulators();
  std::vector<engine::Finding> findings() const { return shown.findings(confusion); }
  /// The broken files that this process has met, and what is shown of its images.
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
  /// Those of all processes, and why each is.
  std::map<std::string, std::string> broken() const;

  engine::ConfusionMatrix confusion;
  std::optional<engine::Mean> in_top_five;
  engine::CrossEntropy loss;
  std::optional<engine::Count> skipped;
  ShownImages shown;

 private:
  const Dataset* data_;
  std::map<std::string, std::string> broken_elsewhere_;
};

}  // namespace capstan::image_classification
