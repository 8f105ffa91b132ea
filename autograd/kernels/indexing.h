#pragma once
// Elements by number: the kernels of index_select, gather and of gradients that go back to one element. All arrays contiguous; every
// index has been checked. Words are elements of any type of that size: nothing is computed on them.

#include <cstddef>
#include <cstdint>

namespace capstan::kernels {

/// y[a, n, b] = x[a, indices[n], b]; x [outer, size, inner], y [outer, count, inner]; `inner` in bytes.
void take(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const std::byte* x,
          std::byte* y);

/// y[a, n, b] = x[a, indices[a, n, b], b]; x [outer, size, inner], indices and y [outer, count, inner]. Word: unsigned, 1, 2, 4, 8 bytes.
template <class Word>
void gather(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const Word* x,
            Word* y);

/// dx[a, indices[a, n, b], b] += dy[a, n, b] in the order of n, from dx = 0. T: float, bfloat16 (summed in float), double.
template <class T>
void gather_gradient(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices,
                     const T* dy, T* dx);

enum class Extreme { largest, smallest };
/// index[a, b] = the first r at which x[a, r, b] is extreme; the first NaN, if there is one. x [outer, count, inner], count > 0.
template <class T>
void arg_extreme(Extreme which, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index);

}  // namespace capstan::kernels
