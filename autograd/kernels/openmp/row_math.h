#pragma once
// Rows: how threads divide them, and pieces of one row that several fused kernels need. Include it only from
// kernels/openmp/*.cpp: it counts on their floating-point options to be vectorised.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/openmp/vector_math.h"

namespace capstan::kernels {

/// Calls f(first, last) for blocks of whole rows which together make [0, rows). `cost`: additions that an element is worth. The partition
/// depends on the sizes alone.
template <class F>
void parallel_row_blocks(std::int64_t rows, std::int64_t n, std::int64_t cost, const F& f) {
  const std::int64_t block = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(n, 1));
  parallel_tasks((rows + block - 1) / block, rows * n * cost, [&](std::int64_t i) { f(i * block, std::min(rows, (i + 1) * block)); });
}

/// Calls f(r) for every row.
template <class F>
void parallel_rows(std::int64_t rows, std::int64_t n, std::int64_t cost, const F& f) {
  parallel_row_blocks(rows, n, cost, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) f(r);
  });
}

/// v if keep is 1, 0 if it is 0, whatever v is. By bits, which vectorises where a condition on a byte does not.
inline float keep_or_zero(float v, std::uint8_t keep) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) & (0u - std::uint32_t{keep}));
}

/// 2^f for |f| <= 1/2, of a float or of each in a vector: the power series to the seventh degree.
template <class V>
[[gnu::always_inline]] inline V power_of_fraction(const V& f) {
  V p = f * 1.52527338e-5f + 1.54035304e-4f;
  p = p * f + 1.33335581e-3f;
  p = p * f + 9.61812911e-3f;
  p = p * f + 5.55041087e-2f;
  p = p * f + 2.40226507e-1f;
  p = p * f + 6.93147181e-1f;
  return p * f + 1.0f;
}

/// exp(v) for v <= 0, exactly 0 below -80. Written out because it is then twice as fast as a call of the vectorised library function, which
/// moreover leaves its fast path for numbers that underflow, as masked scores do. 2^t = 2^n * 2^f with |f| <= 1/2. Relative error below
/// 1e-7 * (1 + |v|), of which v's own rounding causes as much.
inline float exp_or_zero(float v) {
  const float t = (v < -80.0f ? -80.0f : v) * 1.442695041f;
  const float n = std::rint(t), f = t - n;
  const float power = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  return v < -80.0f ? 0.0f : power_of_fraction(f) * power;
}

/// The largest of `start` and z. Lanes by hand: the compiler does not vectorise a maximum where NaN may occur.
inline float max_of(const float* z, std::int64_t n, float start) {
  constexpr std::int64_t kLanes = 32;
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, start);
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] = z[j + l] > lanes[l] ? z[j + l] : lanes[l];
  float max = start;
  for (const float lane : lanes) max = std::max(max, lane);
  for (; j < n; ++j) max = std::max(max, z[j]);
  return max;
}

/// z = exp(z - shift); returns the sum.
inline float exp_in_place(float* z, std::int64_t n, float shift) {
  float sum = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    z[j] = exp_or_zero(z[j] - shift);
    sum += z[j];
  }
  return sum;
}

/// A head of 2 * half numbers turned by `sign` times its angles (kernels/rotary.h). In place is allowed.
template <class T>
[[gnu::always_inline]] inline void turn_head(const T* x, const float* cosines, const float* sines, float sign, std::int64_t half, T* y) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = static_cast<float>(x[i]), b = static_cast<float>(x[half + i]), sine = sign * sines[i];
    store(y[i], a * cosines[i] - b * sine);
    store(y[half + i], b * cosines[i] + a * sine);
  }
}

/// The sum of exp(z - shift).
inline float sum_of_exp(const float* z, std::int64_t n, float shift) {
  float sum = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) sum += exp_or_zero(z[j] - shift);
  return sum;
}

}  // namespace capstan::kernels
