#pragma once
// Metrics of classification: counts of (true class, predicted class) and what follows from them, and the loss.

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/id_map.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

/// Counts of (true class, predicted class). Metrics: accuracy, and what is chosen of
///   f1                  the harmonic mean of precision and recall: of class 1 where there are two, else the mean over the classes
///   macro_f1            the mean over the classes that occur or are predicted, as scikit-learn takes it
///   matthews            correlation of truth and prediction (R_K of Gorodkin 2004)
///   recall/<class>      share of a class's cases that are recognised
class ConfusionMatrix : public Accumulator {
 public:
  struct Options {
    bool f1 = false, macro_f1 = false, matthews = false, recalls = false;
    std::string prefix = {};  ///< of every name
  };
  explicit ConfusionMatrix(std::vector<std::string> class_names) : ConfusionMatrix(std::move(class_names), Options{}) {}
  ConfusionMatrix(std::vector<std::string> class_names, Options options);

  /// Throws InternalError for a class outside 0 .. classes - 1.
  void add(std::int64_t truth, std::int64_t predicted, std::int64_t count = 1);
  std::int64_t classes() const { return static_cast<std::int64_t>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }
  std::int64_t count(std::int64_t truth, std::int64_t predicted) const;
  std::int64_t total() const;
  double accuracy() const;                         ///< NaN without cases
  double recall(std::int64_t truth) const;         ///< share of a class's cases that are recognised; NaN without any
  double precision(std::int64_t predicted) const;  ///< share of the cases taken for a class that are of it
  double f1(std::int64_t of) const;                ///< 0 for a class that neither occurs nor is predicted
  double macro_f1() const;                         ///< NaN without cases
  double matthews() const;                         ///< 0 where truth or prediction is one class only
  std::vector<MetricInfo> metrics() const override;
  std::vector<double> values() const override;
  /// A header of the predicted classes, then a line for each true class: name, counts, recall; a last line of precisions.
  std::string to_tsv() const;

 private:
  double at(std::int64_t truth, std::int64_t predicted) const;
  double of_truth(std::int64_t truth) const;
  double of_prediction(std::int64_t predicted) const;

  std::vector<std::string> names_;
  Options options_;
};

/// -log softmax(logits)[target].
double cross_entropy_of(std::span<const float> logits, std::int64_t target);

/// The mean cross-entropy of predictions, and where it is over tokens of text its exponential, the perplexity.
class CrossEntropy : public Accumulator {
 public:
  /// `perplexity`: the name of that metric; empty: not reported.
  explicit CrossEntropy(std::string name = "loss", std::string perplexity = {})
      : Accumulator(2), name_(std::move(name)), perplexity_(std::move(perplexity)) {}
  /// The mean loss of `count` predictions.
  void add(double loss, double count = 1) { sums_[0] += loss * count, sums_[1] += count; }
  double value() const { return sums_[0] / sums_[1]; }
  std::vector<MetricInfo> metrics() const override;
  std::vector<double> values() const override;

 private:
  std::string name_, perplexity_;
};

/// The name of the class with the largest logit for each row of [B, classes].
std::vector<std::string> best_classes(const Tensor& logits, const data::IdMap& classes);

/// What a classifier is judged by: the confusion matrix, and the loss without smoothing.
struct Classification {
  explicit Classification(std::vector<std::string> class_names, ConfusionMatrix::Options options = {})
      : confusion(std::move(class_names), std::move(options)) {}
  ConfusionMatrix confusion;
  CrossEntropy loss;
  std::vector<Accumulator*> accumulators() { return {&confusion, &loss}; }
  /// logits f32 [B, classes], labels i64 [B]. Among equal logits the lower class is predicted. Throws NumericalError for NaN.
  void add(const Tensor& logits, const Tensor& labels);
};

}  // namespace capstan::engine
