#include "autograd/kernels/normalization.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/normalization.h"
#include "autograd/kernels/reference/normalization.h"

namespace capstan::kernels {

template <class T>
void layer_norm(const NormalizationInput<T>& in, const NormalizationWeights<T>& w, T* sum, T* y, const RowStatistics<T>& s,
                std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::layer_norm(in, w, sum, y, s, rows, n);
  reference::layer_norm(in, w, sum, y, s, rows, n);
}

template <class T>
void layer_norm_backward(const T* sum, const T* gamma, const RowStatistics<T>& s, const T* dy, const T* dsum, const DropoutMask& dropout,
                         const NormalizationGradients<T>& d, std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::layer_norm_backward(sum, gamma, s, dy, dsum, dropout, d, rows, n);
  reference::layer_norm_backward(sum, gamma, s, dy, dsum, dropout, d, rows, n);
}

template void layer_norm(const NormalizationInput<float>&, const NormalizationWeights<float>&, float*, float*, const RowStatistics<float>&,
                         std::int64_t, std::int64_t);
template void layer_norm(const NormalizationInput<bfloat16>&, const NormalizationWeights<bfloat16>&, bfloat16*, bfloat16*,
                         const RowStatistics<bfloat16>&, std::int64_t, std::int64_t);
template void layer_norm(const NormalizationInput<double>&, const NormalizationWeights<double>&, double*, double*,
                         const RowStatistics<double>&, std::int64_t, std::int64_t);
template void layer_norm_backward(const float*, const float*, const RowStatistics<float>&, const float*, const float*, const DropoutMask&,
                                  const NormalizationGradients<float>&, std::int64_t, std::int64_t);
template void layer_norm_backward(const bfloat16*, const bfloat16*, const RowStatistics<bfloat16>&, const bfloat16*, const bfloat16*,
                                  const DropoutMask&, const NormalizationGradients<bfloat16>&, std::int64_t, std::int64_t);
template void layer_norm_backward(const double*, const double*, const RowStatistics<double>&, const double*, const double*,
                                  const DropoutMask&, const NormalizationGradients<double>&, std::int64_t, std::int64_t);

}  // namespace capstan::kernels
