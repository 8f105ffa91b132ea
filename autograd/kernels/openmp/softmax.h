#pragma once
// The fast form of kernels/softmax.h for T in {float, bfloat16}.

#include "autograd/kernels/softmax.h"

namespace capstan::kernels::openmp {

template <class T>
void softmax(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n);
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n);
template <class T>
void log_softmax(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n);
template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n);

}  // namespace capstan::kernels::openmp
