// Planes do not depend on each other: threads divide them, and each runs the plain loops of the reference on its planes. Where the channels
// of a place lie side by side there are few planes and their rows are divided, and a window's largest values stay in registers, for a few
// channels at a time.

#include "autograd/kernels/pool.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels {
namespace {

// Calls f(one plane as a problem of its own, where the plane begins in x, where it begins in y).
template <class F>
void for_each_plane(const PoolProblem& p, const F& f) {
  PoolProblem plane = p;
  plane.planes = 1;
  parallel_tasks(p.planes, p.planes * p.out_size() * p.height.kernel * p.width.kernel,
                 [&](std::int64_t i) { f(plane, i * p.in_size(), i * p.out_size()); });
}

constexpr std::int64_t kChannels = 32;  // whose largest values and places are kept in registers

// The window of this row and column for the first `channels` of x, y and indices, at most kChannels; with kFull exactly that.
template <class T, bool kFull>
void max_of_window(const PoolProblem& p, const std::array<std::int64_t, 2>& window, const T* x, T* y, std::int32_t* indices,
                   std::int64_t channels) {
  const WindowAxis &h = p.height, &w = p.width;
  const Taps rows(h, window[0]), columns(w, window[1]);
  const std::int64_t n = kFull ? kChannels : channels;
  std::array<Compute<T>, kChannels> held{};
  std::array<std::int32_t, kChannels> place{};
  bool is_first = true;
  for (std::int64_t k = rows.first; k < rows.last; ++k)
    for (std::int64_t l = columns.first; l < columns.last; ++l) {
      const std::int64_t at = h.at(window[0], k) * w.in + w.at(window[1], l);
      const T* const from = x + at * p.channels;
      for (std::int64_t c = 0; c < n; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const Compute<T> v{from[c]};
        const bool wins = is_first || (!(v <= held[i]) && !std::isnan(held[i]));
        held[i] = wins ? v : held[i];
        place[i] = wins ? static_cast<std::int32_t>(at) : place[i];
      }
      is_first = false;
    }
  for (std::int64_t c = 0; c < n; ++c) store(y[c], held[static_cast<std::size_t>(c)]);
  std::copy_n(place.data(), n, indices);
}

// One row of windows, all channels of a place side by side.
template <class T>
void max_pool_row(const PoolProblem& p, std::int64_t row, const T* x, T* y, std::int32_t* indices) {
  for (std::int64_t s = 0; s < p.width.out(); ++s, y += p.channels, indices += p.channels) {
    std::int64_t c = 0;
    for (; c + kChannels <= p.channels; c += kChannels) max_of_window<T, true>(p, {row, s}, x + c, y + c, indices + c, kChannels);
    if (c < p.channels) max_of_window<T, false>(p, {row, s}, x + c, y + c, indices + c, p.channels - c);
  }
}

}  // namespace

template <class T>
void MaxPool2d<T>::fast(const PoolProblem& p, const T* x, T* y, std::int32_t* indices) {
  if (p.channels > 1) {
    const std::int64_t rows = p.height.out(), row_size = p.width.out() * p.channels;
    return parallel_tasks(p.planes * rows, p.planes * p.out_size() * p.height.kernel * p.width.kernel, [=](std::int64_t i) {
      max_pool_row(p, i % rows, x + i / rows * p.in_size(), y + i * row_size, indices + i * row_size);
    });
  }
  for_each_plane(p, [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, x + in, y + out, indices + out); });
}

template <class T>
void MaxPool2dBackward<T>::fast(const PoolProblem& p, const T* dy, const std::int32_t* indices, T* dx) {
  for_each_plane(p,
                 [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, dy + out, indices + out, dx + in); });
}

template <class T>
void AvgPool2d<T>::fast(const PoolProblem& p, bool count_padding, const T* x, T* y) {
  for_each_plane(p, [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, count_padding, x + in, y + out); });
}

template <class T>
void AvgPool2dBackward<T>::fast(const PoolProblem& p, bool count_padding, const T* dy, T* dx) {
  for_each_plane(p,
                 [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, count_padding, dy + out, dx + in); });
}

template MaxPool2d<float>::Signature MaxPool2d<float>::fast;
template MaxPool2d<bfloat16>::Signature MaxPool2d<bfloat16>::fast;
template MaxPool2dBackward<float>::Signature MaxPool2dBackward<float>::fast;
template MaxPool2dBackward<bfloat16>::Signature MaxPool2dBackward<bfloat16>::fast;
template AvgPool2d<float>::Signature AvgPool2d<float>::fast;
template AvgPool2d<bfloat16>::Signature AvgPool2d<bfloat16>::fast;
template AvgPool2dBackward<float>::Signature AvgPool2dBackward<float>::fast;
template AvgPool2dBackward<bfloat16>::Signature AvgPool2dBackward<bfloat16>::fast;

}  // namespace capstan::kernels
