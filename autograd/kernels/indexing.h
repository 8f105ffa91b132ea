#pragma once
// Elements by number: the kernels of index_select, gather and of gradients that go back to one element. All arrays contiguous; every
// index has been checked. Words are elements of any type of that size: nothing is computed on them, so they have one form for every back
// end.

#include <cstddef>
#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/backend.h"

namespace capstan::kernels {

/// y[a, n, b] = x[a, indices[n], b], zeros for an index -1; x [outer, size, inner], y [outer, count, inner]; `inner` in bytes.
void take(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const std::byte* x,
          std::byte* y);

/// y[a, n, b] = x[a, indices[a, n, b], b]; x [outer, size, inner], indices and y [outer, count, inner]. Word: unsigned, 1, 2, 4, 8 bytes.
template <class Word>
void gather(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const Word* x,
            Word* y);

/// dx[a, indices[a, n, b], b] += dy[a, n, b] in the order of n, from dx = 0. T: float, bfloat16 (summed in float), double.
template <class T>
struct GatherGradient {
  using Signature = void(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices,
                         const T* dy, T* dx);
  static Signature fast, reference;
};
inline constexpr Kernel<GatherGradient, float, bfloat16, double> gather_gradient;

enum class Extreme { largest, smallest };
/// index[a, b] = the first r at which x[a, r, b] is extreme; the first NaN, if there is one. x [outer, count, inner], count > 0.
template <class T>
struct ArgExtreme {
  using Signature = void(Extreme which, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index);
  static Signature fast, reference;
};
inline constexpr Kernel<ArgExtreme, float, bfloat16, double> arg_extreme;

}  // namespace capstan::kernels
