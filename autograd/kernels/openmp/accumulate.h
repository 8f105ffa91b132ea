#pragma once
// Fast kernels of accumulate.h. Storage types: float and bfloat16 (sums in float); copies for words of 1, 2, 4, 8 bytes.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels::openmp {

/// Word: std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t.
template <class Word>
void copy(const Strided<const Word>& from, const Strided<Word>& to);

template <class T>
void add_into(const Strided<const T>& from, const Strided<T>& to);

/// y[a, b] = sum over r of x[a, r, b]; contiguous. In and Out: float, bfloat16. The order of summation depends on the sizes alone.
template <class In, class Out>
void sum_middle(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y);

/// table[indices[i]] += rows[i]; every row of the table takes its additions in the order of i. The indices have been checked.
void scatter_add_rows(std::int64_t count, std::int64_t width, const std::int64_t* indices, const float* rows, float* table);
/// The same; each row of the table is summed in float and rounded once.
void scatter_add_rows(std::int64_t count, std::int64_t width, const std::int64_t* indices, const bfloat16* rows, bfloat16* table);

}  // namespace capstan::kernels::openmp
