#pragma once
// Losses over classes and binary cross-entropy. T: float, bfloat16 (computed in float), double.
//
// Losses come out one a row (or as a sum over fixed blocks), so that the caller adds them in one order whatever the number of threads.
// Rows are contiguous: logits [rows, classes].

#include <cstdint>

#include "autograd/kernels/backend.h"
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
struct CrossEntropy {
  using Signature = void(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                         Compute<T>* log_sums);
  static Signature fast, reference;
};
inline constexpr Kernel<CrossEntropy, float, bfloat16, double> cross_entropy;
/// dlogits = scale * dloss/dlogits; dlogits may be logits.
template <class T>
struct CrossEntropyBackward {
  using Signature = void(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, const Compute<T>* log_sums,
                         double scale, T* dlogits);
  static Signature fast, reference;
};
inline constexpr Kernel<CrossEntropyBackward, float, bfloat16, double> cross_entropy_backward;

/// Classes [first, first + count) of `classes`, of all rows.
struct ClassPart {
  std::int64_t rows = 0, classes = 0, first = 0, count = 0;
};
/// The same gradient for some of the classes, from logits as products make them, rounded to T for products that follow: logits [rows,
/// classes]; dlogits [rows, count] with `pitch` elements from row to row, which may be these logits. class_sums, [count] or null, is
/// increased by the sums over rows, which are added in their order before they are rounded.
template <class T>
struct CrossEntropyPartBackward {
  using Signature = void(const Compute<T>* logits, const ClassTargets& targets, const ClassPart& part, const Compute<T>* log_sums,
                         double scale, T* dlogits, std::int64_t pitch, Compute<T>* class_sums);
  static Signature fast, reference;
};
inline constexpr Kernel<CrossEntropyPartBackward, float, bfloat16, double> cross_entropy_part_backward;

/// losses[r] = -sum_c targets_c log softmax(logits)_c.
template <class T>
struct SoftCrossEntropy {
  using Signature = void(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                         Compute<T>* log_sums);
  static Signature fast, reference;
};
inline constexpr Kernel<SoftCrossEntropy, float, bfloat16, double> soft_cross_entropy;
/// Gradients times scale; a null one is not wanted, dlogits may be logits.
template <class T>
struct SoftCrossEntropyBackward {
  using Signature = void(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, const Compute<T>* log_sums,
                         double scale, T* dlogits, T* dtargets);
  static Signature fast, reference;
};
inline constexpr Kernel<SoftCrossEntropyBackward, float, bfloat16, double> soft_cross_entropy_backward;

/// The sum of w (softplus(x) - x t) over n elements; weights may be null (1).
template <class T>
struct BinaryCrossEntropy {
  using Signature = double(const T* logits, const T* targets, const float* weights, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<BinaryCrossEntropy, float, bfloat16, double> binary_cross_entropy;
/// Gradients times scale; a null one is not wanted, dlogits may be logits.
template <class T>
struct BinaryCrossEntropyBackward {
  using Signature = void(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale, T* dlogits, T* dtargets);
  static Signature fast, reference;
};
inline constexpr Kernel<BinaryCrossEntropyBackward, float, bfloat16, double> binary_cross_entropy_backward;

}  // namespace capstan::kernels
