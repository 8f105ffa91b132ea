#pragma once
// The passes of the fast form of kernels/image_normalization.h over all planes (one channel of one image each), which threads divide. Means
// are by set, sums and coefficients by plane. T: float, bfloat16.

#include "autograd/kernels/image_normalization.h"

namespace capstan::kernels::openmp {

template <class T>
struct PlanePasses {
  const NormalizationSets& sets;

  /// sums = the sum of x
  void sum(const T* x, float* sums) const;
  /// sums = the sum of (x - mean)^2
  void sum_squares(const T* x, const float* mean, float* sums) const;
  /// dy_sums = the sum of dy, product_sums = that of dy (x - mean)
  void sum_products(const T* dy, const T* x, const float* mean, float* dy_sums, float* product_sums) const;
  /// y = (x - mean) scale + shift
  void write(const T* x, const float* mean, const float* scale, const float* shift, T* y) const;
  /// dx = p dy + q (x - mean) + r
  void write_gradient(const T* dy, const T* x, const float* mean, const float* p, const float* q, const float* r, T* dx) const;
};

}  // namespace capstan::kernels::openmp
