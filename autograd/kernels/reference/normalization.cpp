// The specification of kernels/normalization.h.

#include "autograd/kernels/normalization.h"

#include <cmath>
#include <vector>

namespace capstan::kernels {

template <class T>
void LayerNorm<T>::reference(const NormalizationInput<T>& in, const NormalizationWeights<T>& w, T* sum, T* y, const RowStatistics<T>& s,
                             std::int64_t rows, std::int64_t n) {
  using C = Compute<T>;
  const C scale = static_cast<C>(in.dropout.rate.scale);
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* row = in.x + r * n;
    if (in.residual != nullptr) {
      for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t i = r * n + j;
        const C biased = static_cast<C>(in.x[i]) + (in.bias != nullptr ? static_cast<C>(in.bias[j]) : C(0));
        sum[i] = static_cast<T>(static_cast<C>(in.residual[i]) + (in.dropout.keeps(i) ? biased * scale : C(0)));
      }
      row = sum + r * n;
    }
    C mean = 0, variance = 0;
    for (std::int64_t j = 0; j < n && w.centered; ++j) mean += static_cast<C>(row[j]);
    mean /= static_cast<C>(n);
    for (std::int64_t j = 0; j < n; ++j) variance += (static_cast<C>(row[j]) - mean) * (static_cast<C>(row[j]) - mean);
    const C inverse = C(1) / std::sqrt(variance / static_cast<C>(n) + static_cast<C>(w.eps));
    if (s.mean != nullptr) s.mean[r] = mean, s.inverse_deviation[r] = inverse;
    for (std::int64_t j = 0; j < n; ++j) {
      const C beta = w.beta != nullptr ? static_cast<C>(w.beta[j]) : C(0);
      y[r * n + j] = static_cast<T>((static_cast<C>(row[j]) - mean) * inverse * static_cast<C>(w.gamma[j]) + beta);
    }
  }
}

template <class T>
void LayerNormBackward<T>::reference(const T* sum, const T* gamma, const RowStatistics<T>& s, const T* dy, const T* dsum,
                                     const DropoutMask& dropout, const NormalizationGradients<T>& d, std::int64_t rows, std::int64_t n) {
  using C = Compute<T>;
  const auto width = static_cast<std::size_t>(n);
  std::vector<C> dgamma(width), dbeta(width), dbias(width);
  const C scale = static_cast<C>(dropout.rate.scale);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto normal = [&](std::int64_t j) { return (static_cast<C>(sum[r * n + j]) - s.mean[r]) * s.inverse_deviation[r]; };
    C sum_g = 0, sum_gx = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const C g = static_cast<C>(dy[r * n + j]) * static_cast<C>(gamma[j]);
      sum_g += s.centered ? g : C(0);
      sum_gx += g * normal(j);
    }
    for (std::int64_t j = 0; j < n; ++j) {
      const std::int64_t i = r * n + j;
      const auto at = static_cast<std::size_t>(j);
      const C g = static_cast<C>(dy[i]), inner = g * static_cast<C>(gamma[j]) - (sum_g + normal(j) * sum_gx) / static_cast<C>(n);
      const C ds = inner * s.inverse_deviation[r] + (dsum != nullptr ? static_cast<C>(dsum[i]) : C(0));
      const C dx = dropout.keeps(i) ? ds * scale : C(0);
      dgamma[at] += g * normal(j);
      dbeta[at] += g;
      dbias[at] += dx;
      if (d.dresidual != nullptr) d.dresidual[i] = static_cast<T>(ds);
      if (d.dx != nullptr) d.dx[i] = static_cast<T>(dx);
    }
  }
  for (std::int64_t j = 0; j < n; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (d.dgamma != nullptr) d.dgamma[j] = dgamma[at];
    if (d.dbeta != nullptr) d.dbeta[j] = dbeta[at];
    if (d.dbias != nullptr) d.dbias[j] = dbias[at];
  }
}

template LayerNorm<float>::Signature LayerNorm<float>::reference;
template LayerNorm<bfloat16>::Signature LayerNorm<bfloat16>::reference;
template LayerNorm<double>::Signature LayerNorm<double>::reference;
template LayerNormBackward<float>::Signature LayerNormBackward<float>::reference;
template LayerNormBackward<bfloat16>::Signature LayerNormBackward<bfloat16>::reference;
template LayerNormBackward<double>::Signature LayerNormBackward<double>::reference;

}  // namespace capstan::kernels
