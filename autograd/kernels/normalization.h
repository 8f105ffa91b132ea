#pragma once
// Normalisation over the rows of a contiguous [rows, n], alone and fused with what a transformer has before it:
// sum = residual + dropout(x + bias), y = (sum - mean) / sqrt(variance + eps) * gamma + beta. T: float, bfloat16 (statistics in float),
// double. RMS normalisation is the same from 0 instead of the mean: y = sum / sqrt(mean(sum^2) + eps) * gamma + beta.
//
// The variance is the biased one, from deviations from the mean (never E[x^2] - mean^2). Sums over rows (dweight, dgamma, dbeta, dbias) are
// taken in blocks that depend on the sizes alone, so they do not depend on the number of threads.

#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/dropout_mask.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// What is normalised. With a residual: residual + dropout(x + bias), bias [n] may be null. Without: x.
template <class T>
struct NormalizationInput {
  const T* x = nullptr;
  const T* residual = nullptr;
  const T* bias = nullptr;
  DropoutMask dropout = {};
};

/// gamma, beta [n]; beta may be null.
template <class T>
struct NormalizationWeights {
  const T* gamma = nullptr;
  const T* beta = nullptr;
  double eps = 0;
  bool centered = true;  ///< false: deviations are from 0 (RMS normalisation)
};

/// Statistics of every row for backward; both null if they are not wanted.
template <class T>
struct RowStatistics {
  Compute<T>* mean = nullptr;               ///< 0 where deviations are from 0
  Compute<T>* inverse_deviation = nullptr;  ///< 1 / sqrt(variance + eps)
  bool centered = true;                     ///< for backward: as in NormalizationWeights
};

/// Gradients; a null one is not wanted. dx and dresidual are [rows, n]; dgamma, dbeta and dbias [n], sums that are not rounded.
template <class T>
struct NormalizationGradients {
  T* dx = nullptr;
  T* dresidual = nullptr;
  Compute<T>* dgamma = nullptr;
  Compute<T>* dbeta = nullptr;
  Compute<T>* dbias = nullptr;
};

/// y, and the statistics; `sum` (the normalised operand) is written if there is a residual.
template <class T>
struct LayerNorm {
  using Signature = void(const NormalizationInput<T>& in, const NormalizationWeights<T>& w, T* sum, T* y, const RowStatistics<T>& s,
                         std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<LayerNorm, float, bfloat16, double> layer_norm;

/// From dy, and dsum (may be null) that reached the sum itself; `sum` is what forward normalised. dx, dy and dsum must not overlap.
template <class T>
struct LayerNormBackward {
  using Signature = void(const T* sum, const T* gamma, const RowStatistics<T>& s, const T* dy, const T* dsum, const DropoutMask& dropout,
                         const NormalizationGradients<T>& d, std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<LayerNormBackward, float, bfloat16, double> layer_norm_backward;

}  // namespace capstan::kernels
