#pragma once
// The fast form of kernels/normalization.h for T in {float, bfloat16}.

#include "autograd/kernels/normalization.h"

namespace capstan::kernels::openmp {

template <class T>
void layer_norm(const NormalizationInput<T>& in, const NormalizationWeights<T>& w, T* sum, T* y, const RowStatistics<T>& s,
                std::int64_t rows, std::int64_t n);
template <class T>
void layer_norm_backward(const T* sum, const T* gamma, const RowStatistics<T>& s, const T* dy, const T* dsum, const DropoutMask& dropout,
                         const NormalizationGradients<T>& d, std::int64_t rows, std::int64_t n);

}  // namespace capstan::kernels::openmp
