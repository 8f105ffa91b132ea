// The specification of kernels/pool.h.

#include "autograd/kernels/pool.h"

#include <algorithm>
#include <cstdint>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

template <class T>
void max_pool_plane(const PoolProblem& p, const T* x, T* y, std::int32_t* indices) {
  const WindowAxis &h = p.height, &w = p.width;
  for (std::int64_t r = 0; r < h.out(); ++r)
    for (std::int64_t s = 0; s < w.out(); ++s, y += p.channels, indices += p.channels) {
      const Taps rows(h, r), columns(w, s);
      const std::int64_t first = h.at(r, rows.first) * w.in + w.at(s, columns.first);
      std::copy_n(x + first * p.channels, p.channels, y);
      std::fill_n(indices, p.channels, static_cast<std::int32_t>(first));
      for (std::int64_t k = rows.first; k < rows.last; ++k)
        for (std::int64_t l = columns.first; l < columns.last; ++l) {
          const std::int64_t at = h.at(r, k) * w.in + w.at(s, l);
          const T* const from = x + at * p.channels;
          for (std::int64_t c = 0; c < p.channels; ++c) {
            const Compute<T> v{from[c]}, held{y[c]};
            const bool wins = !(v <= held) && !(held != held);  // a NaN is unequal to itself
            y[c] = wins ? from[c] : y[c];
            indices[c] = wins ? static_cast<std::int32_t>(at) : indices[c];
          }
        }
    }
}

template <class T>
void max_pool_plane_backward(const PoolProblem& p, const T* dy, const std::int32_t* indices, Compute<T>* dx) {
  std::fill_n(dx, p.in_size(), Compute<T>{});
  for (std::int64_t j = 0; j < p.out_size(); j += p.channels)
    for (std::int64_t c = 0; c < p.channels; ++c) dx[indices[j + c] * p.channels + c] += Compute<T>{dy[j + c]};
}

/// 1 / the number of elements that an average is taken over.
template <class T>
Compute<T> weight_of(const PoolProblem& p, bool count_padding, const Taps& rows, const Taps& columns) {
  const std::int64_t n = count_padding ? p.height.kernel * p.width.kernel : rows.count() * columns.count();
  return Compute<T>{1} / static_cast<Compute<T>>(std::max<std::int64_t>(n, 1));
}

template <class T>
void avg_pool_plane(const PoolProblem& p, bool count_padding, const T* x, T* y) {
  const WindowAxis &h = p.height, &w = p.width;
  for (std::int64_t r = 0; r < h.out(); ++r)
    for (std::int64_t s = 0; s < w.out(); ++s) {
      const Taps rows(h, r), columns(w, s);
      Compute<T> sum{};
      for (std::int64_t k = rows.first; k < rows.last; ++k)
        for (std::int64_t l = columns.first; l < columns.last; ++l) sum += Compute<T>{x[h.at(r, k) * w.in + w.at(s, l)]};
      *y++ = convert<T>(sum * weight_of<T>(p, count_padding, rows, columns));
    }
}

template <class T>
void avg_pool_plane_backward(const PoolProblem& p, bool count_padding, const T* dy, Compute<T>* dx) {
  const WindowAxis &h = p.height, &w = p.width;
  std::fill_n(dx, p.in_size(), Compute<T>{});
  for (std::int64_t r = 0; r < h.out(); ++r)
    for (std::int64_t s = 0; s < w.out(); ++s) {
      const Taps rows(h, r), columns(w, s);
      const Compute<T> g = Compute<T>{*dy++} * weight_of<T>(p, count_padding, rows, columns);
      for (std::int64_t k = rows.first; k < rows.last; ++k)
        for (std::int64_t l = columns.first; l < columns.last; ++l) dx[h.at(r, k) * w.in + w.at(s, l)] += g;
    }
}

// A plane of a gradient is summed in Compute<T> and rounded once.
template <class T, class F>
void sum_plane(T* to, std::int64_t size, const F& sum) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    sum(to);
  } else {
    const Scratch<Compute<T>> sums(size);
    sum(sums.data());
    for (std::int64_t i = 0; i < size; ++i) to[i] = convert<T>(sums[i]);
  }
}

}  // namespace

template <class T>
void MaxPool2d<T>::reference(const PoolProblem& p, const T* x, T* y, std::int32_t* indices) {
  for (std::int64_t i = 0; i < p.planes; ++i) max_pool_plane(p, x + i * p.in_size(), y + i * p.out_size(), indices + i * p.out_size());
}

template <class T>
void MaxPool2dBackward<T>::reference(const PoolProblem& p, const T* dy, const std::int32_t* indices, T* dx) {
  for (std::int64_t i = 0; i < p.planes; ++i)
    sum_plane(dx + i * p.in_size(), p.in_size(),
              [&](Compute<T>* to) { max_pool_plane_backward(p, dy + i * p.out_size(), indices + i * p.out_size(), to); });
}

template <class T>
void AvgPool2d<T>::reference(const PoolProblem& p, bool count_padding, const T* x, T* y) {
  for (std::int64_t i = 0; i < p.planes; ++i) avg_pool_plane(p, count_padding, x + i * p.in_size(), y + i * p.out_size());
}

template <class T>
void AvgPool2dBackward<T>::reference(const PoolProblem& p, bool count_padding, const T* dy, T* dx) {
  for (std::int64_t i = 0; i < p.planes; ++i)
    sum_plane(dx + i * p.in_size(), p.in_size(),
              [&](Compute<T>* to) { avg_pool_plane_backward(p, count_padding, dy + i * p.out_size(), to); });
}

template MaxPool2d<float>::Signature MaxPool2d<float>::reference;
template MaxPool2d<bfloat16>::Signature MaxPool2d<bfloat16>::reference;
template MaxPool2d<double>::Signature MaxPool2d<double>::reference;
template MaxPool2dBackward<float>::Signature MaxPool2dBackward<float>::reference;
template MaxPool2dBackward<bfloat16>::Signature MaxPool2dBackward<bfloat16>::reference;
template MaxPool2dBackward<double>::Signature MaxPool2dBackward<double>::reference;
template AvgPool2d<float>::Signature AvgPool2d<float>::reference;
template AvgPool2d<bfloat16>::Signature AvgPool2d<bfloat16>::reference;
template AvgPool2d<double>::Signature AvgPool2d<double>::reference;
template AvgPool2dBackward<float>::Signature AvgPool2dBackward<float>::reference;
template AvgPool2dBackward<bfloat16>::Signature AvgPool2dBackward<bfloat16>::reference;
template AvgPool2dBackward<double>::Signature AvgPool2dBackward<double>::reference;

}  // namespace capstan::kernels
