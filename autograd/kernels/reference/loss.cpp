// The specification of kernels/loss.h.

#include "autograd/kernels/loss.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

template <class T>
Compute<T> log_sum_exp(const T* x, std::int64_t n) {
  using C = Compute<T>;
  C max = -kInfinity<C>, sum = 0;
  for (std::int64_t c = 0; c < n; ++c) max = std::max(max, static_cast<C>(x[c]));
  for (std::int64_t c = 0; c < n; ++c) sum += std::exp(static_cast<C>(x[c]) - max);
  return max + std::log(sum);
}

/// q_c w_c of a row's target distribution.
template <class C>
C weighted_target(const ClassTargets& t, std::int64_t row, std::int64_t c, std::int64_t classes) {
  const C hit = t.target[row] == c ? C(1) - static_cast<C>(t.smoothing) : C(0);
  const C weight = t.class_weights != nullptr ? static_cast<C>(t.class_weights[c]) : C(1);
  return (hit + static_cast<C>(t.smoothing) / static_cast<C>(classes)) * weight;
}

}  // namespace

template <class T>
void CrossEntropy<T>::reference(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                                Compute<T>* log_sums) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r, logits += classes) {
    losses[r] = log_sums[r] = 0;
    if (targets.target[r] == targets.ignore_index) continue;
    log_sums[r] = log_sum_exp(logits, classes);
    for (std::int64_t c = 0; c < classes; ++c) {
      const C q = weighted_target<C>(targets, r, c, classes);
      if (q != 0) losses[r] += q * (log_sums[r] - static_cast<C>(logits[c]));
    }
  }
}

template <class T>
void CrossEntropyBackward<T>::reference(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes,
                                        const Compute<T>* log_sums, double scale, T* dlogits) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r, logits += classes, dlogits += classes) {
    const bool ignored = targets.target[r] == targets.ignore_index;
    C mass = 0;
    for (std::int64_t c = 0; c < classes; ++c) mass += weighted_target<C>(targets, r, c, classes);
    for (std::int64_t c = 0; c < classes; ++c) {
      const C d = mass * std::exp(static_cast<C>(logits[c]) - log_sums[r]) - weighted_target<C>(targets, r, c, classes);
      dlogits[c] = static_cast<T>(ignored ? C(0) : d * static_cast<C>(scale));
    }
  }
}

template <class T>
void CrossEntropyPartBackward<T>::reference(const Compute<T>* logits, const ClassTargets& targets, const ClassPart& part,
                                            const Compute<T>* log_sums, double scale, T* dlogits, std::int64_t pitch,
                                            Compute<T>* class_sums) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < part.rows; ++r) {
    const bool ignored = targets.target[r] == targets.ignore_index;
    C mass = 0;
    for (std::int64_t c = 0; c < part.classes; ++c) mass += weighted_target<C>(targets, r, c, part.classes);
    for (std::int64_t i = 0; i < part.count; ++i) {
      const std::int64_t c = part.first + i;
      const C d = mass * std::exp(logits[r * part.classes + c] - log_sums[r]) - weighted_target<C>(targets, r, c, part.classes);
      const C scaled = ignored ? C(0) : d * static_cast<C>(scale);
      if (class_sums != nullptr) class_sums[i] += scaled;
      dlogits[r * pitch + i] = static_cast<T>(scaled);
    }
  }
}

template <class T>
void SoftCrossEntropy<T>::reference(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                                    Compute<T>* log_sums) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r, logits += classes, targets += classes) {
    log_sums[r] = log_sum_exp(logits, classes);
    losses[r] = 0;
    for (std::int64_t c = 0; c < classes; ++c) losses[r] += static_cast<C>(targets[c]) * (log_sums[r] - static_cast<C>(logits[c]));
  }
}

template <class T>
void SoftCrossEntropyBackward<T>::reference(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes,
                                            const Compute<T>* log_sums, double scale, T* dlogits, T* dtargets) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r) {
    C mass = 0;
    for (std::int64_t c = 0; c < classes; ++c) mass += static_cast<C>(targets[r * classes + c]);
    for (std::int64_t c = 0; c < classes; ++c) {
      const std::int64_t i = r * classes + c;
      const C log_p = static_cast<C>(logits[i]) - log_sums[r];
      if (dtargets != nullptr) dtargets[i] = static_cast<T>(-log_p * static_cast<C>(scale));
      if (dlogits != nullptr) dlogits[i] = static_cast<T>((mass * std::exp(log_p) - static_cast<C>(targets[i])) * static_cast<C>(scale));
    }
  }
}

template <class T>
double BinaryCrossEntropy<T>::reference(const T* logits, const T* targets, const float* weights, std::int64_t n) {
  using C = Compute<T>;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const C x = static_cast<C>(logits[i]), weight = weights != nullptr ? static_cast<C>(weights[i]) : C(1);
    sum += static_cast<double>(weight * (std::max(x, C(0)) + std::log1p(std::exp(-std::abs(x))) - x * static_cast<C>(targets[i])));
  }
  return sum;
}

template <class T>
void BinaryCrossEntropyBackward<T>::reference(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale,
                                              T* dlogits, T* dtargets) {
  using C = Compute<T>;
  for (std::int64_t i = 0; i < n; ++i) {
    const C x = static_cast<C>(logits[i]), factor = static_cast<C>(scale) * (weights != nullptr ? static_cast<C>(weights[i]) : C(1));
    if (dtargets != nullptr) dtargets[i] = static_cast<T>(-x * factor);
    if (dlogits != nullptr) dlogits[i] = static_cast<T>((C(1) / (C(1) + std::exp(-x)) - static_cast<C>(targets[i])) * factor);
  }
}

template CrossEntropy<float>::Signature CrossEntropy<float>::reference;
template CrossEntropy<bfloat16>::Signature CrossEntropy<bfloat16>::reference;
template CrossEntropy<double>::Signature CrossEntropy<double>::reference;
template CrossEntropyBackward<float>::Signature CrossEntropyBackward<float>::reference;
template CrossEntropyBackward<bfloat16>::Signature CrossEntropyBackward<bfloat16>::reference;
template CrossEntropyBackward<double>::Signature CrossEntropyBackward<double>::reference;
template CrossEntropyPartBackward<float>::Signature CrossEntropyPartBackward<float>::reference;
template CrossEntropyPartBackward<bfloat16>::Signature CrossEntropyPartBackward<bfloat16>::reference;
template CrossEntropyPartBackward<double>::Signature CrossEntropyPartBackward<double>::reference;
template SoftCrossEntropy<float>::Signature SoftCrossEntropy<float>::reference;
template SoftCrossEntropy<bfloat16>::Signature SoftCrossEntropy<bfloat16>::reference;
template SoftCrossEntropy<double>::Signature SoftCrossEntropy<double>::reference;
template SoftCrossEntropyBackward<float>::Signature SoftCrossEntropyBackward<float>::reference;
template SoftCrossEntropyBackward<bfloat16>::Signature SoftCrossEntropyBackward<bfloat16>::reference;
template SoftCrossEntropyBackward<double>::Signature SoftCrossEntropyBackward<double>::reference;
template BinaryCrossEntropy<float>::Signature BinaryCrossEntropy<float>::reference;
template BinaryCrossEntropy<bfloat16>::Signature BinaryCrossEntropy<bfloat16>::reference;
template BinaryCrossEntropy<double>::Signature BinaryCrossEntropy<double>::reference;
template BinaryCrossEntropyBackward<float>::Signature BinaryCrossEntropyBackward<float>::reference;
template BinaryCrossEntropyBackward<bfloat16>::Signature BinaryCrossEntropyBackward<bfloat16>::reference;
template BinaryCrossEntropyBackward<double>::Signature BinaryCrossEntropyBackward<double>::reference;

}  // namespace capstan::kernels
