#include "autograd/kernels/image_normalization.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/image_normalization.h"
#include "autograd/kernels/reference/image_normalization.h"

namespace capstan::kernels {

template <class T>
void normalize_sets(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                    const SetStatistics<T>& statistics, T* y) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return reference::normalize_sets<openmp::PlaneLoops<T>>(sets, x, gamma, beta, deviation, statistics, y);
  reference::normalize_sets<reference::PlaneLoops<T>>(sets, x, gamma, beta, deviation, statistics, y);
}

template <class T>
void normalize_sets_backward(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                             const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                             const SetGradients<T>& gradients) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast)
      return reference::normalize_sets_backward<openmp::PlaneLoops<T>>(sets, x, gamma, deviation, statistics, dy, dstatistics, gradients);
  reference::normalize_sets_backward<reference::PlaneLoops<T>>(sets, x, gamma, deviation, statistics, dy, dstatistics, gradients);
}

template void normalize_sets(const NormalizationSets&, const float*, const float*, const float*, const Deviation&,
                             const SetStatistics<float>&, float*);
template void normalize_sets(const NormalizationSets&, const bfloat16*, const bfloat16*, const bfloat16*, const Deviation&,
                             const SetStatistics<bfloat16>&, bfloat16*);
template void normalize_sets(const NormalizationSets&, const double*, const double*, const double*, const Deviation&,
                             const SetStatistics<double>&, double*);
template void normalize_sets_backward(const NormalizationSets&, const float*, const float*, const Deviation&, const SetStatistics<float>&,
                                      const float*, const SetStatistics<float>&, const SetGradients<float>&);
template void normalize_sets_backward(const NormalizationSets&, const bfloat16*, const bfloat16*, const Deviation&,
                                      const SetStatistics<bfloat16>&, const bfloat16*, const SetStatistics<bfloat16>&,
                                      const SetGradients<bfloat16>&);
template void normalize_sets_backward(const NormalizationSets&, const double*, const double*, const Deviation&,
                                      const SetStatistics<double>&, const double*, const SetStatistics<double>&,
                                      const SetGradients<double>&);

}  // namespace capstan::kernels
