#pragma once
// y[i] = f(x[i]...) over strided operands: the loop behind the fast elementwise kernels. To be included by files of openmp/ only.

#include <array>
#include <cstdint>
#include <tuple>
#include <utility>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels::openmp {
namespace detail {

// How an operand lies along the inner axis: next to each other, or one element for all.
template <bool Dense, class T>
Compute<T> load(const T* x, std::int64_t i) {
  return Compute<T>{x[Dense ? i : 0]};
}

template <bool... Dense, class F, class Out, class... In>
void map_run(const F& f, std::int64_t n, Out* y, const In*... x) {
#pragma omp simd simdlen(kSimdLength<Out>)
  for (std::int64_t i = 0; i < n; ++i) store(y[i], f(load<Dense>(x, i)...));
}

// Calls g<Dense...>() for strides that are all 1 or 0, one flag a stride.
template <std::size_t N, bool... Dense, class G>
void with_density(const std::array<std::int64_t, N>& strides, const G& g) {
  if constexpr (sizeof...(Dense) == N) {
    g.template operator()<Dense...>();
  } else if (strides[sizeof...(Dense)] == 1) {
    with_density<N, Dense..., true>(strides, g);
  } else {
    with_density<N, Dense..., false>(strides, g);
  }
}

}  // namespace detail

/// y contiguous. `grain`: elements worth waking a thread for.
template <class F, class Out, class... In>
void map(const F& f, std::int64_t grain, Out* y, const Strided<const In>&... x) {
  constexpr std::size_t operands = sizeof...(In);
  const Layout dense(std::get<0>(std::tie(x.layout...)).shape());
  const StridedLoop<1 + operands> loop({&dense, &x.layout...});
  std::array<std::int64_t, operands> strides{};
  bool simple = true;
  for (std::size_t k = 0; k < operands; ++k) {
    strides[k] = loop.inner_stride(k + 1);
    simple = simple && (strides[k] == 1 || strides[k] == 0);
  }
  // A vector function may differ in the last bit from its scalar form, which takes the end of a run. So that no result depends on the
  // number of threads, ranges end where runs do, or at a multiple of every vector length.
  const std::int64_t width = loop.size(loop.rank() - 1), unit = loop.rank() == 1 || width % 64 == 0 ? 64 : width;
  const auto in_ranges = [&](const auto& run) {
    parallel_ranges(loop.numel(), grain, [&](std::int64_t first, std::int64_t last) { loop.run(first, last, run); }, unit);
  };
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    if (simple) {
      detail::with_density(strides, [&]<bool... Dense>() {
        in_ranges([&](std::int64_t n, const auto& at) { detail::map_run<Dense...>(f, n, y + at[0], (x.data + at[K + 1])...); });
      });
    } else {
      in_ranges([&](std::int64_t n, const auto& at) {
        Out* const to = y + at[0];
        for (std::int64_t i = 0; i < n; ++i) store(to[i], f(Compute<In>{x.data[at[K + 1] + i * strides[K]]}...));
      });
    }
  }(std::index_sequence_for<In...>{});
}

}  // namespace capstan::kernels::openmp
