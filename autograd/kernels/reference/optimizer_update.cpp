// Optimiser updates as plain loops: the specification, and the only f64 path.

#include "autograd/kernels/optimizer_update.h"

#include <cmath>
#include <cstddef>
#include <utility>
#include <variant>

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
bool ApplyRule<T>::reference(std::span<const UpdateTensor<T>> tensors, const UpdateRule& any, double gradient_scale) {
  bool finite = true;
  const auto run = [&]<class Rule, std::size_t... K>(const Rule& rule, std::index_sequence<K...>) {
    for (const UpdateTensor<T>& t : tensors)
      for (std::int64_t i = 0; i < t.count; ++i) {
        const std::int64_t row = t.rows != nullptr ? t.rows[i] : i;
        const std::int64_t from = t.gradient_row != nullptr ? t.gradient_row[i] : i;
        const bool at_rest = t.gradient_row != nullptr && from == kAtRest;
        std::array<T, kMaxMoments> zeros = {};
        for (std::int64_t j = 0; j < t.width; ++j) {
          const std::int64_t at = row * t.width + j;
          const T g = from < 0 ? T(0) : T(gradient_scale) * t.gradient[from * t.width + j];
          rule(t.value[at], (at_rest ? zeros[K] : t.moments[K][at])..., g, t.options);
          finite = finite && std::isfinite(t.value[at]);
          if (t.shadow != nullptr) t.shadow[at] = convert<bfloat16>(t.value[at]);
        }
      }
  };
  std::visit([&]<class Rule>(const Rule& rule) { run(rule, std::make_index_sequence<Rule::moments>{}); }, any);
  return finite;
}

template <class T>
void RepeatMissedSteps<T>::reference(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const rules::Adam& rule) {
  for (const AdamMissedRow<T>& row : rows) {
    const T idle1 = T(std::pow(rule.beta1, static_cast<double>(row.idle)));
    const T idle2 = T(std::pow(rule.beta2, static_cast<double>(row.idle)));
    for (std::int64_t j = 0; j < width; ++j) {
      T &p = row.value[j], &m = row.first[j], &v = row.second[j];
      for (const rules::AdamMissedStep& step : row.steps) rule.missed(p, m, v, step, row.learning_rate_scale);
      m *= idle1;
      v *= idle2;
      if (row.shadow != nullptr) row.shadow[j] = convert<bfloat16>(p);
    }
  }
}

template <class T>
double SumOfSquares<T>::reference(std::span<const std::span<const T>> tensors) {
  double sum = 0;
  for (const std::span<const T> values : tensors)
    for (const T v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

template ApplyRule<float>::Signature ApplyRule<float>::reference;
template ApplyRule<double>::Signature ApplyRule<double>::reference;
template RepeatMissedSteps<float>::Signature RepeatMissedSteps<float>::reference;
template RepeatMissedSteps<double>::Signature RepeatMissedSteps<double>::reference;
template SumOfSquares<float>::Signature SumOfSquares<float>::reference;
template SumOfSquares<double>::Signature SumOfSquares<double>::reference;

}  // namespace capstan::kernels
