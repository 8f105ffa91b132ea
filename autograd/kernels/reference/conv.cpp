// The specification of kernels/conv.h.

#include "autograd/kernels/conv.h"

#include <algorithm>

#include "autograd/core/tensor.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

/// Calls f(index of x, index of y, index of weight) for every product of the convolution; those of one y element are neighbours.
template <class F>
void for_each_product(const ConvProblem& p, const F& f) {
  const WindowAxis &h = p.height, &w = p.width;
  const std::int64_t rows = h.out(), columns = w.out();
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t o = 0; o < p.out_channels; ++o)
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t s = 0; s < columns; ++s)
          for (std::int64_t i = 0; i < p.group_in(); ++i)
            for (std::int64_t k = 0; k < h.kernel; ++k)
              for (std::int64_t l = 0; l < w.kernel; ++l) {
                const std::int64_t row = h.at(r, k), column = w.at(s, l);
                if (!h.inside(row) || !w.inside(column)) continue;
                const std::int64_t channel = o / p.group_out() * p.group_in() + i;
                f(p.x_index(b, channel, row, column), p.y_index(b, o, r, s), ((o * p.group_in() + i) * h.kernel + k) * w.kernel + l);
              }
}

/// The channel of an element of y.
std::int64_t channel_of(const ConvProblem& p, std::int64_t y_index) {
  return (p.channels_last ? y_index : y_index / (p.height.out() * p.width.out())) % p.out_channels;
}

/// to[j] = the sum that `add` puts into element j, rounded once.
template <class T, class Add>
void sum_into(T* to, std::int64_t size, const Add& add) {
  const Scratch<Compute<T>> sums(size);
  std::fill_n(sums.data(), size, Compute<T>{});
  add(sums.data());
  for (std::int64_t j = 0; j < size; ++j) to[j] = convert<T>(sums[j]);
}

template <class T>
void convolve(const ConvProblem& p, const T* x, const T* weight, const T* bias, T* y) {
  using C = Compute<T>;
  sum_into(y, p.y_size(), [&](C* sums) {
    if (bias != nullptr)
      for (std::int64_t j = 0; j < p.y_size(); ++j) sums[j] = C{bias[channel_of(p, j)]};
    for_each_product(p, [&](std::int64_t i, std::int64_t j, std::int64_t k) { sums[j] += C{x[i]} * C{weight[k]}; });
  });
}

template <class T>
void convolve_backward_data(const ConvProblem& p, const T* dy, const T* weight, T* dx) {
  using C = Compute<T>;
  sum_into(dx, p.x_size(), [&](C* sums) {
    for_each_product(p, [&](std::int64_t i, std::int64_t j, std::int64_t k) { sums[i] += C{dy[j]} * C{weight[k]}; });
  });
}

template <class T>
void convolve_backward_weights(const ConvProblem& p, const T* x, const T* dy, Compute<T>* dweight, Compute<T>* dbias) {
  using C = Compute<T>;
  sum_into(dweight, p.weight_size(),
           [&](C* sums) { for_each_product(p, [&](std::int64_t i, std::int64_t j, std::int64_t k) { sums[k] += C{x[i]} * C{dy[j]}; }); });
  if (dbias == nullptr) return;
  sum_into(dbias, p.out_channels, [&](C* sums) {
    for (std::int64_t j = 0; j < p.y_size(); ++j) sums[channel_of(p, j)] += C{dy[j]};
  });
}

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* as(void* p) {
  return static_cast<T*>(p);
}

}  // namespace

void Conv2d::reference(const ConvProblem& p, const void* x, const void* weight, const void* bias, void* y) {
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    convolve(p, as<T>(x), as<T>(weight), as<T>(bias), as<T>(y));
  });
}

void Conv2dBackwardData::reference(const ConvProblem& p, const void* dy, const void* weight, void* dx) {
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    convolve_backward_data(p, as<T>(dy), as<T>(weight), as<T>(dx));
  });
}

void Conv2dBackwardWeights::reference(const ConvProblem& p, const void* x, const void* dy, void* dweight, void* dbias) {
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    convolve_backward_weights(p, as<T>(x), as<T>(dy), as<Compute<T>>(dweight), as<Compute<T>>(dbias));
  });
}

}  // namespace capstan::kernels
