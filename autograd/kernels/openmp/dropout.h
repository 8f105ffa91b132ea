#pragma once
// The fast form of kernels/dropout.h for T in {float, bfloat16}.

#include "autograd/kernels/dropout.h"

namespace capstan::kernels::openmp {

template <class T>
void dropout(const T* x, const DropoutMask& mask, T* y, std::int64_t n);

}  // namespace capstan::kernels::openmp
