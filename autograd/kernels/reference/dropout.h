#pragma once
// The specification of kernels/dropout.h.

#include "autograd/kernels/dropout.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels::reference {

template <class T>
void dropout(const T* x, const DropoutMask& mask, T* y, std::int64_t n) {
  using C = Compute<T>;
  const C scale = static_cast<C>(mask.rate.scale);
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(mask.keeps(i) ? static_cast<C>(x[i]) * scale : C(0));
}

}  // namespace capstan::kernels::reference
