#pragma once
// y[i] = f(x[i]...) over strided operands: the loop behind the fast elementwise kernels. To be included by files of openmp/ only.

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>
#include <utility>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels {
namespace detail {

constexpr std::int64_t kTile = 512;  // elements: a multiple of every vector length; the tiles of three operands fit the first-level cache

/// n elements of an operand, `stride` apart.
template <class T>
struct Run {
  const T* x;
  std::int64_t stride, n;
};

/// The elements of a run next to each other: where they lie if they do, otherwise gathered into a buffer, a tile at a time. So a loop
/// is compiled once for every type, not once for every way its operands may lie.
template <class T>
class Gathered {
 public:
  explicit Gathered(const Run<T>& run) : x_(run.x), stride_(run.stride) {
    if (stride_ == 0) std::fill_n(buffer_.data(), std::min(run.n, kTile), *x_);
  }
  Gathered(const Gathered&) = delete;
  Gathered& operator=(const Gathered&) = delete;
  /// Elements [first, first + count), count <= kTile unless the stride is 1.
  const T* tile(std::int64_t first, std::int64_t count) {
    if (stride_ == 1) return x_ + first;
    if (stride_ != 0)
      for (std::int64_t i = 0; i < count; ++i) buffer_[static_cast<std::size_t>(i)] = x_[(first + i) * stride_];
    return buffer_.data();
  }

 private:
  const T* x_;
  std::int64_t stride_;
  alignas(64) std::array<T, kTile> buffer_;
};

// Never inlined: two copies may be vectorised differently at the end of a run, and a value would depend on which one a thread took.
template <class F, class Out, class... In>
[[gnu::noinline]] void map_dense(const F& f, std::int64_t n, Out* y, const In*... x) {
#pragma omp simd simdlen(kSimdLength <Out>)
  for (std::int64_t i = 0; i < n; ++i) store(y[i], f(Compute<In>{x[i]}...));
}

}  // namespace detail

/// y contiguous. `grain`: elements worth waking a thread for.
template <class F, class Out, class... In>
void map(const F& f, std::int64_t grain, Out* y, const Strided<const In>&... x) {
  const Layout dense(std::get<0>(std::tie(x.layout...)).shape());
  const StridedLoop<1 + sizeof...(In)> loop({&dense, &x.layout...});
  // A vector function may differ in the last bit from its scalar form, which takes the end of a run. So that no result depends on the
  // number of threads, ranges end where runs do, or at a multiple of every vector length.
  const std::int64_t width = loop.size(loop.rank() - 1), unit = loop.rank() == 1 || width % 64 == 0 ? 64 : width;
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    const bool all_dense = ((loop.inner_stride(K + 1) == 1) && ...);
    const auto run = [&](std::int64_t n, const auto& at) {
      Out* const to = y + at[0];
      if (all_dense) return detail::map_dense(f, n, to, (x.data + at[K + 1])...);
      std::tuple<detail::Gathered<In>...> operands(detail::Run<In>{x.data + at[K + 1], loop.inner_stride(K + 1), n}...);
      for (std::int64_t i = 0; i < n; i += detail::kTile) {
        const std::int64_t count = std::min(detail::kTile, n - i);
        detail::map_dense(f, count, to + i, std::get<K>(operands).tile(i, count)...);
      }
    };
    parallel_ranges(
        loop.numel(), grain, [&](std::int64_t first, std::int64_t last) { loop.run(first, last, run); }, unit);
  }
  (std::index_sequence_for<In...>{});
}

}  // namespace capstan::kernels
