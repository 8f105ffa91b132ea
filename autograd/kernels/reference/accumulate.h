#pragma once
// Reference kernels of accumulate.h: plain loops.

#include <cstdint>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels::reference {

template <class T>
void copy(const Strided<const T>& from, const Strided<T>& to) {
  const StridedLoop<2> loop({&from.layout, &to.layout});
  const std::int64_t s = loop.inner_stride(0), d = loop.inner_stride(1);
  loop.run(0, loop.numel(), [&](std::int64_t n, const auto& at) {
    for (std::int64_t i = 0; i < n; ++i) to.data[at[1] + i * d] = from.data[at[0] + i * s];
  });
}

template <class T>
void add_into(const Strided<const T>& from, const Strided<T>& to) {
  const StridedLoop<2> loop({&from.layout, &to.layout});
  const std::int64_t s = loop.inner_stride(0), d = loop.inner_stride(1);
  loop.run(0, loop.numel(), [&](std::int64_t n, const auto& at) {
    for (std::int64_t i = 0; i < n; ++i)
      to.data[at[1] + i * d] = convert<T>(Compute<T>{to.data[at[1] + i * d]} + Compute<T>{from.data[at[0] + i * s]});
  });
}

/// y[a, b] = sum over r of x[a, r, b], summed in double.
template <class In, class Out>
void sum_middle(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y) {
  for (std::int64_t a = 0; a < outer; ++a)
    for (std::int64_t b = 0; b < inner; ++b) {
      double total = 0;
      for (std::int64_t r = 0; r < count; ++r) total += convert<double>(x[(a * count + r) * inner + b]);
      y[a * inner + b] = convert<Out>(total);
    }
}

template <class T>
void scatter_add_rows(std::int64_t count, std::int64_t width, const std::int64_t* indices, const T* rows, T* table) {
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < width; ++j) {
      T& target = table[indices[i] * width + j];
      target = convert<T>(Compute<T>{target} + Compute<T>{rows[i * width + j]});
    }
}

}  // namespace capstan::kernels::reference
