#pragma once
// Metrics of numbers that are predicted: how they go together with the true ones, and how far they are off.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

/// Correlation of Pearson, -1 .. 1; NaN where one of the two is constant, and below two values.
double pearson(std::span<const double> x, std::span<const double> y);
/// The rank of each value from 1 on; equal ones share the mean of their ranks.
std::vector<double> mean_ranks(std::span<const double> values);
/// Correlation of Spearman: that of Pearson between the ranks.
double spearman(std::span<const double> x, std::span<const double> y);

/// Metrics of `cases` numbers that are known beforehand, each with a place of its own, because ranks need all of them:
///   pearson   correlation
///   spearman  correlation of the ranks
///   loss      the mean squared error
/// Parts of a pass fill different places, and so merge by addition.
class Regression : public Accumulator {
 public:
  explicit Regression(std::int64_t cases) : Accumulator(3 * static_cast<std::size_t>(cases)) {}
  /// Throws InternalError for a place outside 0 .. cases - 1 or one that is taken; NumericalError for a prediction that is not finite.
  void add(std::int64_t place, double truth, double prediction);
  std::vector<MetricInfo> metrics() const override;
  std::vector<double> values() const override;

 private:
  // sums_: of each place whether it is taken, the true number and the predicted one.
};

}  // namespace capstan::engine
