// The specification of kernels/batch_norm.h.

#include "autograd/kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

namespace capstan::kernels {
namespace {

template <class T>
Compute<T> gamma_of(const BatchNormProblem<T>& p, std::int64_t c) {
  return p.gamma != nullptr ? Compute<T>{p.gamma[c]} : Compute<T>{1};
}

// The sum of term(element) over the rows of channel c.
template <class T, class F>
Compute<T> sum_of(const BatchNormProblem<T>& p, std::int64_t c, const F& term) {
  Compute<T> sum{};
  for (std::int64_t r = 0; r < p.rows; ++r) sum += term(r * p.channels + c);
  return sum;
}

}  // namespace

template <class T>
void BatchNormRows<T>::reference(const BatchNormProblem<T>& p, const T* x, const T* beta, const T* residual,
                                 const BatchNormStatistics<T>& statistics, T* y) {
  using C = Compute<T>;
  const C rows = static_cast<C>(std::max<std::int64_t>(p.rows, 1));
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const C mean = sum_of(p, c, [&](std::int64_t i) { return C{x[i]}; }) / rows;
    const C variance = sum_of(p, c, [&](std::int64_t i) { return (C{x[i]} - mean) * (C{x[i]} - mean); }) / rows;
    statistics.mean[c] = mean;
    statistics.variance[c] = variance;
    const C scale = gamma_of(p, c) / std::sqrt(variance + static_cast<C>(p.eps)), shift = beta != nullptr ? C{beta[c]} : C{};
    for (std::int64_t r = 0; r < p.rows; ++r) {
      const std::int64_t i = r * p.channels + c;
      const C v = (C{x[i]} - mean) * scale + shift + (residual != nullptr ? C{residual[i]} : C{});
      y[i] = convert<T>(p.relu && v < C{} ? C{} : v);
    }
  }
}

// Let g be dy where y is positive (without a relu: everywhere), which is dresidual. With d = sqrt(variance + eps), z = (x - mean) / d, N
// rows and sums over them:
//     dx = gamma (g - sum(g) / N - z sum(g z) / N) / d + dmean / N + 2 dvariance (x - mean) / N
//     dgamma = sum(g z), dbeta = sum(g)
template <class T>
void BatchNormRowsBackward<T>::reference(const BatchNormProblem<T>& p, const T* x, const T* y, const BatchNormStatistics<T>& statistics,
                                         const T* dy, const BatchNormStatistics<T>& dstatistics, const BatchNormGradients<T>& gradients) {
  using C = Compute<T>;
  const C rows = static_cast<C>(std::max<std::int64_t>(p.rows, 1));
  const auto g = [&](std::int64_t i) { return p.relu && !(C{y[i]} > C{}) ? C{} : C{dy[i]}; };
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const C mean = statistics.mean[c], inverse = C{1} / std::sqrt(statistics.variance[c] + static_cast<C>(p.eps));
    const auto z = [&](std::int64_t i) { return (C{x[i]} - mean) * inverse; };
    const C g_sum = sum_of(p, c, g), gz_sum = sum_of(p, c, [&](std::int64_t i) { return g(i) * z(i); });
    if (gradients.dgamma != nullptr) gradients.dgamma[c] = gz_sum;
    if (gradients.dbeta != nullptr) gradients.dbeta[c] = g_sum;
    C constant = -gamma_of(p, c) * inverse * g_sum / rows, of_deviation = -gamma_of(p, c) * inverse * inverse * gz_sum / rows;
    if (dstatistics.mean != nullptr) constant += dstatistics.mean[c] / rows;
    if (dstatistics.variance != nullptr) of_deviation += C{2} * dstatistics.variance[c] / rows;
    for (std::int64_t r = 0; r < p.rows; ++r) {
      const std::int64_t i = r * p.channels + c;
      if (gradients.dx != nullptr)
        gradients.dx[i] = convert<T>(gamma_of(p, c) * inverse * g(i) + of_deviation * (C{x[i]} - mean) + constant);
      if (gradients.dresidual != nullptr) gradients.dresidual[i] = convert<T>(g(i));
    }
  }
}

template BatchNormRows<float>::Signature BatchNormRows<float>::reference;
template BatchNormRows<bfloat16>::Signature BatchNormRows<bfloat16>::reference;
template BatchNormRows<double>::Signature BatchNormRows<double>::reference;
template BatchNormRowsBackward<float>::Signature BatchNormRowsBackward<float>::reference;
template BatchNormRowsBackward<bfloat16>::Signature BatchNormRowsBackward<bfloat16>::reference;
template BatchNormRowsBackward<double>::Signature BatchNormRowsBackward<double>::reference;

}  // namespace capstan::kernels
