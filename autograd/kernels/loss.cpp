#include "autograd/kernels/loss.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/loss.h"
#include "autograd/kernels/reference/loss.h"

namespace capstan::kernels {

template <class T>
void cross_entropy(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                   Compute<T>* log_sums) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::cross_entropy(logits, targets, rows, classes, losses, log_sums);
  reference::cross_entropy(logits, targets, rows, classes, losses, log_sums);
}

template <class T>
void cross_entropy_backward(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes,
                            const Compute<T>* log_sums, double scale, T* dlogits) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::cross_entropy_backward(logits, targets, rows, classes, log_sums, scale, dlogits);
  reference::cross_entropy_backward(logits, targets, rows, classes, log_sums, scale, dlogits);
}

template <class T>
void soft_cross_entropy(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                        Compute<T>* log_sums) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::soft_cross_entropy(logits, targets, rows, classes, losses, log_sums);
  reference::soft_cross_entropy(logits, targets, rows, classes, losses, log_sums);
}

template <class T>
void soft_cross_entropy_backward(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, const Compute<T>* log_sums,
                                 double scale, T* dlogits, T* dtargets) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast)
      return openmp::soft_cross_entropy_backward(logits, targets, rows, classes, log_sums, scale, dlogits, dtargets);
  reference::soft_cross_entropy_backward(logits, targets, rows, classes, log_sums, scale, dlogits, dtargets);
}

template <class T>
double binary_cross_entropy(const T* logits, const T* targets, const float* weights, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::binary_cross_entropy(logits, targets, weights, n);
  return reference::binary_cross_entropy(logits, targets, weights, n);
}

template <class T>
void binary_cross_entropy_backward(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale, T* dlogits,
                                   T* dtargets) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::binary_cross_entropy_backward(logits, targets, weights, n, scale, dlogits, dtargets);
  reference::binary_cross_entropy_backward(logits, targets, weights, n, scale, dlogits, dtargets);
}

template void cross_entropy(const float*, const ClassTargets&, std::int64_t, std::int64_t, float*, float*);
template void cross_entropy(const bfloat16*, const ClassTargets&, std::int64_t, std::int64_t, float*, float*);
template void cross_entropy(const double*, const ClassTargets&, std::int64_t, std::int64_t, double*, double*);
template void cross_entropy_backward(const float*, const ClassTargets&, std::int64_t, std::int64_t, const float*, double, float*);
template void cross_entropy_backward(const bfloat16*, const ClassTargets&, std::int64_t, std::int64_t, const float*, double, bfloat16*);
template void cross_entropy_backward(const double*, const ClassTargets&, std::int64_t, std::int64_t, const double*, double, double*);
template void soft_cross_entropy(const float*, const float*, std::int64_t, std::int64_t, float*, float*);
template void soft_cross_entropy(const bfloat16*, const bfloat16*, std::int64_t, std::int64_t, float*, float*);
template void soft_cross_entropy(const double*, const double*, std::int64_t, std::int64_t, double*, double*);
template void soft_cross_entropy_backward(const float*, const float*, std::int64_t, std::int64_t, const float*, double, float*, float*);
template void soft_cross_entropy_backward(const bfloat16*, const bfloat16*, std::int64_t, std::int64_t, const float*, double, bfloat16*,
                                          bfloat16*);
template void soft_cross_entropy_backward(const double*, const double*, std::int64_t, std::int64_t, const double*, double, double*,
                                          double*);
template double binary_cross_entropy(const float*, const float*, const float*, std::int64_t);
template double binary_cross_entropy(const bfloat16*, const bfloat16*, const float*, std::int64_t);
template double binary_cross_entropy(const double*, const double*, const float*, std::int64_t);
template void binary_cross_entropy_backward(const float*, const float*, const float*, std::int64_t, double, float*, float*);
template void binary_cross_entropy_backward(const bfloat16*, const bfloat16*, const float*, std::int64_t, double, bfloat16*, bfloat16*);
template void binary_cross_entropy_backward(const double*, const double*, const float*, std::int64_t, double, double*, double*);

}  // namespace capstan::kernels
