#pragma once
// Rows: how they are shared out to threads, and pieces of one row that the fused kernels share. Include it only from
// kernels/openmp/*.cpp: it counts on their floating-point options to be vectorised.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/openmp/vector_math.h"

namespace capstan::kernels::openmp {

/// Calls f(first, last) for blocks of whole rows which together make [0, rows). The partition depends on the sizes alone.
template <class F>
void parallel_row_blocks(std::int64_t rows, std::int64_t n, const F& f) {
  const std::int64_t block = std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(n, 1));
  parallel_tasks((rows + block - 1) / block, rows * n, [&](std::int64_t i) { f(i * block, std::min(rows, (i + 1) * block)); });
}

/// Calls f(r) for every row.
template <class F>
void parallel_rows(std::int64_t rows, std::int64_t n, const F& f) {
  parallel_row_blocks(rows, n, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) f(r);
  });
}

/// Below this exp is taken as 0. Vectorised exp leaves its fast path for numbers that underflow; masked scores do.
inline constexpr float kExpFloor = -80.0f;

inline float exp_or_zero(float v) {
  const float e = std::exp(v < kExpFloor ? kExpFloor : v);
  return v < kExpFloor ? 0.0f : e;
}

inline float max_of(const float* z, std::int64_t n, float start) {
  float max = start;
#pragma omp simd reduction(max : max)
  for (std::int64_t j = 0; j < n; ++j) max = std::max(max, z[j]);
  return max;
}

/// z = exp(z - shift); returns the sum.
inline float exp_in_place(float* z, std::int64_t n, float shift) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    z[j] = exp_or_zero(z[j] - shift);
    sum += z[j];
  }
  return sum;
}

/// The sum of exp(z - shift).
inline float sum_of_exp(const float* z, std::int64_t n, float shift) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) sum += exp_or_zero(z[j] - shift);
  return sum;
}

}  // namespace capstan::kernels::openmp
