#pragma once
// Dropout: y = keep * x / P(keep). No mask is stored; backward asks for the same one again (dropout_mask.h).

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/dropout_mask.h"

namespace capstan::kernels {

/// y = x / P(keep) where kept, else 0. T: float, bfloat16, double. In place is allowed.
template <class T>
struct Dropout {
  static constexpr profile::Kind kind = profile::Kind::random;
  using Signature = void(const T* x, const DropoutMask& mask, T* y, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<Dropout, float, bfloat16, double> dropout;

}  // namespace capstan::kernels
