#pragma once
// Losses over classes and binary cross-entropy. T: float, bfloat16 (computed in float), double.
//
// Losses come out one a row (or as a sum over fixed blocks), so that the caller adds them in one order whatever the number of threads.
// Rows are contiguous: logits [rows, classes].

#include <cstdint>

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// Target classes. With smoothing e the target distribution is (1 - e) at the target plus e / classes everywhere; class weights
/// multiply the term of each class (null: 1).
struct ClassTargets {
  const std::int64_t* target = nullptr;
  std::int64_t ignore_index = -100;
  double smoothing = 0;
  const float* class_weights = nullptr;
};

/// losses[r] = -sum_c q_c w_c log softmax(logits)_c, 0 for an ignored row; log_sums[r] = log sum exp(logits). Log-probabilities are never
/// stored.
template <class T>
void cross_entropy(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                   Compute<T>* log_sums);
/// dlogits = scale * dloss/dlogits; dlogits may be logits.
template <class T>
void cross_entropy_backward(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes,
                            const Compute<T>* log_sums, double scale, T* dlogits);

/// losses[r] = -sum_c targets_c log softmax(logits)_c.
template <class T>
void soft_cross_entropy(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                        Compute<T>* log_sums);
/// Gradients times scale; a null one is not wanted, dlogits may be logits.
template <class T>
void soft_cross_entropy_backward(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, const Compute<T>* log_sums,
                                 double scale, T* dlogits, T* dtargets);

/// The sum of w (softplus(x) - x t) over n elements; weights may be null (1).
template <class T>
double binary_cross_entropy(const T* logits, const T* targets, const float* weights, std::int64_t n);
/// Gradients times scale; a null one is not wanted, dlogits may be logits.
template <class T>
void binary_cross_entropy_backward(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale, T* dlogits,
                                   T* dtargets);

}  // namespace capstan::kernels
