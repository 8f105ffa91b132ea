#pragma once
// Batch normalisation of images whose channels are last in memory, x [rows, channels] with a row for each place of each image, and what
// follows it in the same pass:
//     y = relu((x - mean) / sqrt(variance + eps) gamma + beta + residual)
// where gamma, beta, residual and relu may each be absent. T: float, bfloat16 (statistics in float), double. The variance is the biased
// one, from deviations from the mean. Images with their channels first are normalised by image_normalization.h.
//
// The fast form sums block by block of rows and adds blocks in their order, so sums depend on the sizes alone.

#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
struct BatchNormProblem {
  std::int64_t rows = 0, channels = 0;
  double eps = 1e-5;
  const T* gamma = nullptr;  ///< [channels] or null
  bool relu = false;
};

template <class T>
struct BatchNormStatistics {
  Compute<T>* mean = nullptr;      ///< [channels]
  Compute<T>* variance = nullptr;  ///< likewise
};

/// Writes the statistics and y; beta [channels] and residual [rows, channels] may be null.
template <class T>
struct BatchNormRows {
  using Signature = void(const BatchNormProblem<T>& p, const T* x, const T* beta, const T* residual,
                         const BatchNormStatistics<T>& statistics, T* y);
  static Signature fast, reference;
};
inline constexpr Kernel<BatchNormRows, float, bfloat16, double> batch_norm_rows;

/// Gradients; a null one is not wanted. dgamma and dbeta are sums that are not rounded.
template <class T>
struct BatchNormGradients {
  T *dx = nullptr, *dresidual = nullptr;
  Compute<T>*dgamma = nullptr, *dbeta = nullptr;
};

/// From dy, and `dstatistics`, which reached mean and variance themselves (null: nothing did). y is read where there is a relu.
template <class T>
struct BatchNormRowsBackward {
  using Signature = void(const BatchNormProblem<T>& p, const T* x, const T* y, const BatchNormStatistics<T>& statistics, const T* dy,
                         const BatchNormStatistics<T>& dstatistics, const BatchNormGradients<T>& gradients);
  static Signature fast, reference;
};
inline constexpr Kernel<BatchNormRowsBackward, float, bfloat16, double> batch_norm_rows_backward;

}  // namespace capstan::kernels
