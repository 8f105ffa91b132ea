#include "recipes/engine/metrics/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The values minus their mean, brought to length 1; empty if they are all the same.
std::vector<double> direction(std::span<const double> values) {
  const auto [least, most] = std::ranges::minmax_element(values);
  if (*least == *most) return {};
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  const double scale = std::max(*most - mean, mean - *least);  // no square overflows
  std::vector<double> out;
  double sum = 0;
  for (const double v : values) {
    out.push_back((v - mean) / scale);
    sum += out.back() * out.back();
  }
  for (double& v : out) v /= std::sqrt(sum);
  return out;
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
  require<InternalError>(x.size() == y.size(), "pearson: ", x.size(), " and ", y.size(), " values");
  if (x.size() < 2) return kNan;
  const std::vector<double> a = direction(x), b = direction(y);
  if (a.empty() || b.empty()) return kNan;
  return std::clamp(std::inner_product(a.begin(), a.end(), b.begin(), 0.0), -1.0, 1.0);
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t k = begin; k < end; ++k) ranks[order[k]] = static_cast<double>(begin + end + 1) / 2;  // of begin + 1 .. end
  }
  return ranks;
}

double spearman(std::span<const double> x, std::span<const double> y) { return pearson(mean_ranks(x), mean_ranks(y)); }

void Regression::add(std::int64_t place, double truth, double prediction) {
  const auto at = 3 * static_cast<std::size_t>(place);
  require<InternalError>(place >= 0 && at < sums_.size() && sums_[at] == 0, "regression: place ", place, " of ", sums_.size() / 3,
                         " does not exist or is taken");
  require<NumericalError>(std::isfinite(prediction), "regression: a prediction is not finite: ", prediction);
  sums_[at] = 1;
  sums_[at + 1] = truth;
  sums_[at + 2] = prediction;
}

std::vector<MetricInfo> Regression::metrics() const {
  return {{"pearson", Goal::maximize}, {"spearman", Goal::maximize}, {"loss", Goal::minimize}};
}

std::vector<double> Regression::values() const {
  std::vector<double> truth, prediction;
  double squares = 0;
  for (std::size_t i = 0; i < sums_.size(); i += 3) {
    if (sums_[i] == 0) continue;
    truth.push_back(sums_[i + 1]);
    prediction.push_back(sums_[i + 2]);
    squares += (truth.back() - prediction.back()) * (truth.back() - prediction.back());
  }
  const double loss = truth.empty() ? kNan : squares / static_cast<double>(truth.size());
  return {pearson(truth, prediction), spearman(truth, prediction), loss};
}

}  // namespace capstan::engine
