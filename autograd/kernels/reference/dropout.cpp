// The specification of kernels/dropout.h.

#include "autograd/kernels/dropout.h"

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
void Dropout<T>::reference(const T* x, const DropoutMask& mask, T* y, std::int64_t n) {
  using C = Compute<T>;
  const C scale = static_cast<C>(mask.rate.scale);
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(mask.keeps(i) ? static_cast<C>(x[i]) * scale : C(0));
}

template Dropout<float>::Signature Dropout<float>::reference;
template Dropout<bfloat16>::Signature Dropout<bfloat16>::reference;
template Dropout<double>::Signature Dropout<double>::reference;

}  // namespace capstan::kernels
