#include "recipes/vit/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "autograd/core/error.h"
#include "data/loader.h"
#include "recipes/vit/batch.h"

namespace capstan::vit {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

/// -log softmax(logits)[target].
double cross_entropy_of(std::span<const float> logits, std::int64_t target) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v) - top);
  return std::log(sum) + top - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

}  // namespace

void ConfusionMatrix::merge(const ConfusionMatrix& o) {
  require<InternalError>(classes_ == o.classes_, "confusion matrix: cannot merge ", classes_, " and ", o.classes_, " classes");
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += o.counts_[i];
}

std::int64_t ConfusionMatrix::total() const { return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0}); }

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t c = 0; c < classes_; ++c) right += count(c, c);
  return share(right, total());
}

double ConfusionMatrix::recall(std::int64_t truth) const {
  std::int64_t all = 0;
  for (std::int64_t c = 0; c < classes_; ++c) all += count(truth, c);
  return share(count(truth, truth), all);
}

double ConfusionMatrix::precision(std::int64_t predicted) const {
  std::int64_t all = 0;
  for (std::int64_t c = 0; c < classes_; ++c) all += count(c, predicted);
  return share(count(predicted, predicted), all);
}

std::string ConfusionMatrix::to_tsv(const std::vector<std::string>& names) const {
  std::string out = "true\\predicted";
  for (const std::string& name : names) out += "\t" + name;
  out += "\trecall\n";
  for (std::int64_t t = 0; t < classes_; ++t) {
    out += names[static_cast<std::size_t>(t)];
    for (std::int64_t p = 0; p < classes_; ++p) out += join_text("\t", count(t, p));
    out += join_text("\t", recall(t), "\n");
  }
  out += "precision";
  for (std::int64_t p = 0; p < classes_; ++p) out += join_text("\t", precision(p));
  return out + join_text("\t", accuracy(), "\n");
}

Evaluation evaluate(const Dataset& data, Part part, const data::ImagePipeline& pipeline, const EvaluateOptions& options,
                    const Classifier& classifier) {
  const std::int64_t classes = data.classes(), batches = (data.size(part) + options.batch_size - 1) / options.batch_size;
  Evaluation result{{}, ConfusionMatrix(classes)};
  std::int64_t in_top_five = 0, skipped = 0;
  engine::Mean loss;
  data::Loader<Batch> loader(
      [&](std::int64_t i) { return evaluation_batch(data, part, pipeline, i * options.batch_size, options.batch_size); }, 0, batches,
      /*workers=*/1, /*depth=*/2);
  while (const auto batch = loader.next()) {
    const Tensor logits = classifier(batch->images).contiguous();  // [B, classes]
    const auto all = logits.span<const float>();
    for (std::int64_t i = 0; i < batch->size(); ++i) {
      if (batch->substitutes[static_cast<std::size_t>(i)] != 0) {
        ++skipped;
        continue;
      }
      const auto row = all.subspan(static_cast<std::size_t>(i * classes), static_cast<std::size_t>(classes));
      const std::int64_t truth = batch->labels.span<const std::int64_t>()[static_cast<std::size_t>(i)];
      const std::vector<std::int64_t> best = engine::top_k(row, 5);
      result.confusion.add(truth, best.at(0));
      in_top_five += std::ranges::count(best, truth);
      loss.add(cross_entropy_of(row, truth));
    }
  }
  const std::int64_t total = result.confusion.total();
  require<DataError>(total > 0, "vit: no image of the part could be read");
  result.metrics.push_back({"accuracy", result.confusion.accuracy()});
  if (classes > 5) result.metrics.push_back({"top5_accuracy", share(in_top_five, total)});
  result.metrics.push_back({"loss", loss.value()});
  if (skipped > 0) result.metrics.push_back({"skipped_images", static_cast<double>(skipped)});
  if (options.per_class)
    for (std::int64_t c = 0; c < classes; ++c)
      result.metrics.push_back({"recall/" + data.class_names()[static_cast<std::size_t>(c)], result.confusion.recall(c)});
  return result;
}

}  // namespace capstan::vit
