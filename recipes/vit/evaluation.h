#pragma once
// Evaluation: how many images of a part are recognised, and which classes are taken for which.
//
// Images that stand in for broken files do not count; how many there were is a number of its own. Among equal logits the lower class wins.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/pipeline.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/vit/dataset.h"
#include "recipes/vit/options.h"

namespace capstan::vit {

/// images f32 [B, C, H, W] -> logits f32 [B, classes].
using Classifier = std::function<Tensor(const Tensor& images)>;

/// Counts of (true class, predicted class); parts merge by adding.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes) : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

  void add(std::int64_t truth, std::int64_t predicted, std::int64_t count = 1) { counts_[at(truth, predicted)] += count; }
  void merge(const ConfusionMatrix& o);
  std::int64_t count(std::int64_t truth, std::int64_t predicted) const { return counts_[at(truth, predicted)]; }
  std::int64_t total() const;
  double accuracy() const;                         ///< NaN without images
  double recall(std::int64_t truth) const;         ///< share of a class's images that are recognised; NaN without images of it
  double precision(std::int64_t predicted) const;  ///< share of the images taken for a class that are of it
  /// A header of the predicted classes, then a line for each true class: name, counts, recall; a last line of precisions.
  std::string to_tsv(const std::vector<std::string>& names) const;

 private:
  std::size_t at(std::int64_t truth, std::int64_t predicted) const { return static_cast<std::size_t>(truth * classes_ + predicted); }

  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

struct Evaluation {
  /// accuracy, top5_accuracy (above five classes), loss (cross-entropy without smoothing), with options.per_class recall/<class>, and
  /// skipped_images if some files were broken.
  engine::Metrics metrics;
  ConfusionMatrix confusion;
};

/// Classifies all images of a part. The next batch is read while one is classified. Throws DataError if no image could be read.
Evaluation evaluate(const Dataset& data, Part part, const data::ImagePipeline& pipeline, const EvaluateOptions& options,
                    const Classifier& classifier);

}  // namespace capstan::vit
