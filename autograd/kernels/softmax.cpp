#include "autograd/kernels/softmax.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/softmax.h"
#include "autograd/kernels/reference/softmax.h"

namespace capstan::kernels {

template <class T>
void softmax(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::softmax(x, mask, y, rows, n);
  reference::softmax(x, mask, y, rows, n);
}

template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::softmax_backward(y, dy, dx, rows, n);
  reference::softmax_backward(y, dy, dx, rows, n);
}

template <class T>
void log_softmax(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::log_softmax(x, mask, y, rows, n);
  reference::log_softmax(x, mask, y, rows, n);
}

template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::log_softmax_backward(y, dy, dx, rows, n);
  reference::log_softmax_backward(y, dy, dx, rows, n);
}

template void softmax(const float*, const RowMask<float>&, float*, std::int64_t, std::int64_t);
template void softmax(const bfloat16*, const RowMask<bfloat16>&, bfloat16*, std::int64_t, std::int64_t);
template void softmax(const double*, const RowMask<double>&, double*, std::int64_t, std::int64_t);
template void softmax_backward(const float*, const float*, float*, std::int64_t, std::int64_t);
template void softmax_backward(const bfloat16*, const bfloat16*, bfloat16*, std::int64_t, std::int64_t);
template void softmax_backward(const double*, const double*, double*, std::int64_t, std::int64_t);
template void log_softmax(const float*, const RowMask<float>&, float*, std::int64_t, std::int64_t);
template void log_softmax(const bfloat16*, const RowMask<bfloat16>&, bfloat16*, std::int64_t, std::int64_t);
template void log_softmax(const double*, const RowMask<double>&, double*, std::int64_t, std::int64_t);
template void log_softmax_backward(const float*, const float*, float*, std::int64_t, std::int64_t);
template void log_softmax_backward(const bfloat16*, const bfloat16*, bfloat16*, std::int64_t, std::int64_t);
template void log_softmax_backward(const double*, const double*, double*, std::int64_t, std::int64_t);

}  // namespace capstan::kernels
