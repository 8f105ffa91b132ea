#pragma once
// What any classifier shows beside its metrics: which classes it takes for which, how it does class by class, and whether it is as often
// right as it is sure.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/classification.h"
#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::engine {

/// The confusion matrix, of more than twenty classes those twenty with the most mistakes; the pairs most often confused, where there are
/// more than ten classes; and recall, precision and F1 by class. `what`: one of the cases, "image".
std::vector<Finding> confusion_findings(const ConfusionMatrix& confusion, std::string_view what);

/// The class of the highest score, of equal ones the lowest class, and the probability that the model gives it.
struct SaidClass {
  std::int64_t number = 0;
  double probability = 0;
};
SaidClass said_class(std::span<const float> logits);

/// Cases by the probability that the model gives its answer, in ten equal steps, and how many of each are right.
class Reliability {
 public:
  void add(double probability, bool right);
  Accumulator& sums() { return sums_; }
  /// The mean over cases of how far the share of right answers is from the mean probability of its step.
  double expected_error() const;
  /// The curve; empty where there is no case.
  std::vector<Finding> findings(std::string_view what) const;

 private:
  static constexpr std::int64_t kSteps = 10;
  GroupSums sums_{kSteps, 3};  // cases, probabilities, right ones
};

}  // namespace capstan::engine
