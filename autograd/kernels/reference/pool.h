#pragma once
// Pooling of one plane in plain loops; contract in kernels/pool.h. A plane is the unit of work of every back end: the fast one shares
// planes out to threads.

#include <algorithm>
#include <cstdint>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/pool.h"

namespace capstan::kernels::reference {

/// The taps of a window at place o that are not padding: [first, last).
struct Taps {
  std::int64_t first, last;
  Taps(const WindowAxis& a, std::int64_t o) {
    const std::int64_t begin = a.at(o, 0);
    first = begin >= 0 ? 0 : (-begin + a.dilation - 1) / a.dilation;
    last = std::min(a.kernel, begin >= a.in ? 0 : (a.in - begin + a.dilation - 1) / a.dilation);
  }
  std::int64_t count() const { return std::max<std::int64_t>(last - first, 0); }
};

template <class T>
void max_pool_plane(const PoolProblem& p, const T* x, T* y, std::int32_t* places) {
  const WindowAxis &h = p.height, &w = p.width;
  for (std::int64_t r = 0; r < h.out(); ++r)
    for (std::int64_t s = 0; s < w.out(); ++s) {
      const Taps rows(h, r), columns(w, s);
      std::int64_t best = h.at(r, rows.first) * w.in + w.at(s, columns.first);
      for (std::int64_t k = rows.first; k < rows.last; ++k)
        for (std::int64_t l = columns.first; l < columns.last; ++l) {
          const std::int64_t at = h.at(r, k) * w.in + w.at(s, l);
          const Compute<T> v{x[at]}, held{x[best]};
          if (!(v <= held) && held == held) best = at;
        }
      *y++ = x[best];
      *places++ = static_cast<std::int32_t>(best);
    }
}

template <class T>
void max_pool_plane_backward(const PoolProblem& p, const T* dy, const std::int32_t* places, Compute<T>* dx) {
  std::fill_n(dx, p.in_size(), Compute<T>{});
  for (std::int64_t j = 0; j < p.out_size(); ++j) dx[places[j]] += Compute<T>{dy[j]};
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

}  // namespace capstan::kernels::reference
