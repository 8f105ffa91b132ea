#pragma once
// Evaluation: how good the labels or numbers of a part are, and the two files of results that the original writes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/metrics/classification.h"
#include "recipes/engine/metrics/regression.h"
#include "recipes/tasks/text_classification/batch.h"
#include "recipes/tasks/text_classification/dataset.h"
#include "recipes/tasks/text_classification/findings.h"

namespace capstan::text_classification {

struct Evaluation {
  /// An empty one for a part. `keeps`: what the model says of each text is kept, for probabilities_text.
  Evaluation(const Dataset& data, engine::Split split, bool keeps, ShownTexts::Look look = {});

  std::optional<engine::Classification> classes;  ///< accuracy, f1 (of two classes that of the second), macro_f1, matthews; loss
  std::optional<engine::Regression> numbers;      ///< pearson, spearman; loss, the mean squared error
  engine::Count texts{"texts"};
  std::vector<float> outputs;      ///< [texts, outputs] kept: logits, or numbers
  std::vector<std::int64_t> kept;  ///< the numbers of the texts whose outputs are there
  std::int64_t width = 1;          ///< outputs of a text
  ShownTexts shown;

  /// logits f32 [B, outputs].
  void add(const Batch& batch, const Tensor& logits);
  std::vector<engine::Accumulator*> accumulators();
  std::vector<engine::Finding> findings() const { return shown.findings(classes ? &classes->confusion : nullptr); }
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);

 private:
  void show(const Batch& batch, std::span<const float> values);
  /// Rows [places, outputs].
  void keep(std::span<const std::int64_t> places, std::span<const float> rows);
};

/// What always the most frequent training label would reach, "most_frequent/accuracy", ..., or the mean training number, "mean/loss".
engine::Metrics baselines(const Dataset& data, engine::Split split);

/// softmax of a row of logits.
std::vector<float> probabilities(std::span<const float> logits);
/// A line a text: the probabilities of the classes with tabs between, or the number.
std::string probabilities_text(const Evaluation& evaluation, bool regression);
/// "eval_accuracy = 0.9" and the other metrics, global_step and loss, a line each, sorted.
std::string results_text(Evaluation& evaluation, std::int64_t step);

}  // namespace capstan::text_classification
