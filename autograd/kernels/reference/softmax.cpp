// The specification of kernels/softmax.h.

#include "autograd/kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

template <class T>
Compute<T> score(const T* x, const RowMask<T>& mask, std::int64_t row, std::int64_t j) {
  using C = Compute<T>;
  const C value = static_cast<C>(x[j]);
  if (!mask.present()) return value;
  const std::int64_t at = mask.row_offset(row) + j * mask.column_stride();
  if (mask.keep != nullptr) return mask.keep[at] != 0 ? value : -kInfinity<C>;
  return value + static_cast<C>(mask.add[at]);
}

/// The largest score of a row, and the sum of exp(score - largest).
template <class T>
struct RowSum {
  Compute<T> max = -kInfinity<Compute<T>>, sum = 0;

  RowSum(const T* x, const RowMask<T>& mask, std::int64_t row, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j) max = std::max(max, score(x, mask, row, j));
    if (max == -kInfinity<Compute<T>>) return;
    for (std::int64_t j = 0; j < n; ++j) sum += std::exp(score(x, mask, row, j) - max);
  }
  bool empty() const { return max == -kInfinity<Compute<T>>; }
};

}  // namespace

template <class T>
void Softmax<T>::reference(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const RowSum<T> s(x, mask, r, n);
    for (std::int64_t j = 0; j < n; ++j) y[j] = s.empty() ? T(0) : static_cast<T>(std::exp(score(x, mask, r, j) - s.max) / s.sum);
  }
}

template <class T>
void SoftmaxBackward<T>::reference(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, dy += n, dx += n) {
    C dot = 0;
    for (std::int64_t j = 0; j < n; ++j) dot += static_cast<C>(dy[j]) * static_cast<C>(y[j]);
    for (std::int64_t j = 0; j < n; ++j) dx[j] = static_cast<T>(static_cast<C>(y[j]) * (static_cast<C>(dy[j]) - dot));
  }
}

template <class T>
void LogSoftmax<T>::reference(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const RowSum<T> s(x, mask, r, n);
    for (std::int64_t j = 0; j < n; ++j)
      y[j] = static_cast<T>(s.empty() ? -kInfinity<Compute<T>> : score(x, mask, r, j) - s.max - std::log(s.sum));
  }
}

template <class T>
void LogSoftmaxBackward<T>::reference(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, dy += n, dx += n) {
    C sum = 0;
    for (std::int64_t j = 0; j < n; ++j)
      if (static_cast<C>(y[j]) != -kInfinity<C>) sum += static_cast<C>(dy[j]);
    for (std::int64_t j = 0; j < n; ++j) {
      const C log_p = static_cast<C>(y[j]);
      dx[j] = static_cast<T>(log_p == -kInfinity<C> ? C(0) : static_cast<C>(dy[j]) - std::exp(log_p) * sum);
    }
  }
}

template Softmax<float>::Signature Softmax<float>::reference;
template Softmax<bfloat16>::Signature Softmax<bfloat16>::reference;
template Softmax<double>::Signature Softmax<double>::reference;
template SoftmaxBackward<float>::Signature SoftmaxBackward<float>::reference;
template SoftmaxBackward<bfloat16>::Signature SoftmaxBackward<bfloat16>::reference;
template SoftmaxBackward<double>::Signature SoftmaxBackward<double>::reference;
template LogSoftmax<float>::Signature LogSoftmax<float>::reference;
template LogSoftmax<bfloat16>::Signature LogSoftmax<bfloat16>::reference;
template LogSoftmax<double>::Signature LogSoftmax<double>::reference;
template LogSoftmaxBackward<float>::Signature LogSoftmaxBackward<float>::reference;
template LogSoftmaxBackward<bfloat16>::Signature LogSoftmaxBackward<bfloat16>::reference;
template LogSoftmaxBackward<double>::Signature LogSoftmaxBackward<double>::reference;

}  // namespace capstan::kernels
