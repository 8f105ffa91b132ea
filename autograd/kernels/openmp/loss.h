#pragma once
// The fast form of kernels/loss.h for T in {float, bfloat16}.

#include "autograd/kernels/loss.h"

namespace capstan::kernels::openmp {

template <class T>
void cross_entropy(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, float* losses, float* log_sums);
template <class T>
void cross_entropy_backward(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, const float* log_sums,
                            double scale, T* dlogits);
template <class T>
void soft_cross_entropy(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, float* losses, float* log_sums);
template <class T>
void soft_cross_entropy_backward(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, const float* log_sums,
                                 double scale, T* dlogits, T* dtargets);
template <class T>
double binary_cross_entropy(const T* logits, const T* targets, const float* weights, std::int64_t n);
template <class T>
void binary_cross_entropy_backward(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale, T* dlogits,
                                   T* dtargets);

}  // namespace capstan::kernels::openmp
