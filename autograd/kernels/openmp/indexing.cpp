// These kernels compare and copy; they are compiled without -ffast-math because ArgExtreme must see NaN.

#include "autograd/kernels/indexing.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels {

void take(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const std::byte* x,
          std::byte* y) {
  const profile::Scope scope("Take", profile::Kind::conversion);
  const std::int64_t grain = std::max<std::int64_t>(1, 4 * kGrain / std::max<std::int64_t>(inner, 16));
  parallel_ranges(
      outer * count, grain,
      [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          const std::int64_t from = indices[i % count];
          if (from < 0) {
            std::memset(y + i * inner, 0, static_cast<std::size_t>(inner));
          } else {
            std::memcpy(y + i * inner, x + (i / count * size + from) * inner, static_cast<std::size_t>(inner));
          }
        }
      },
      1);
}

template <class Word>
void gather(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices, const Word* x,
            Word* y) {
  parallel_ranges(
      outer * count, std::max<std::int64_t>(1, kGrain / 4 / std::max<std::int64_t>(inner, 1)),
      [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i)
          for (std::int64_t b = 0; b < inner; ++b) y[i * inner + b] = x[(i / count * size + indices[i * inner + b]) * inner + b];
      },
      1);
}

template <class T>
void GatherGradient<T>::fast(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner, const std::int64_t* indices,
                             const T* dy, T* dx) {
  parallel_ranges(
      outer, std::max<std::int64_t>(1, kGrain / 4 / std::max<std::int64_t>((size + count) * inner, 1)),
      [&](std::int64_t first, std::int64_t last) {
        std::vector<Compute<T>> sums(static_cast<std::size_t>(size * inner));
        for (std::int64_t a = first; a < last; ++a) {
          std::ranges::fill(sums, Compute<T>{});
          for (std::int64_t i = a * count; i < (a + 1) * count; ++i)
            for (std::int64_t b = 0; b < inner; ++b)
              sums[static_cast<std::size_t>(indices[i * inner + b] * inner + b)] += Compute<T>{dy[i * inner + b]};
          std::ranges::transform(sums, dx + a * size * inner, [](Compute<T> v) { return convert<T>(v); });
        }
      },
      1);
}

namespace {

// Sixteen candidates side by side, so that the comparisons vectorise; a lane keeps its first best.
template <bool kLargest>
struct Lanes {
  static constexpr int kCount = 16;
  float best[kCount];
  std::int32_t at[kCount];

  template <class T>
  void start(const T* x, int lanes) {
    for (int l = 0; l < lanes; ++l) best[l] = float{x[l]}, at[l] = 0;
  }
  template <class T>
  void see(const T* x, std::int32_t place, int lanes) {
#pragma omp simd
    for (int l = 0; l < lanes; ++l) {
      const float v = float{x[l]};
      const bool better = ((kLargest ? v > best[l] : v < best[l]) | (v != v)) & (best[l] == best[l]);
      best[l] = better ? v : best[l];
      at[l] = better ? place : at[l];
    }
  }
};

// The extreme of one contiguous row.
template <bool kLargest, class T>
std::int64_t arg_of_row(std::int64_t count, const T* x) {
  constexpr int lanes = Lanes<kLargest>::kCount;
  Lanes<kLargest> seen;
  const std::int64_t whole = count / lanes;
  std::int64_t best = 0;
  float value = float{x[0]};
  const auto consider = [&](float v, std::int64_t i) {
    const bool is_nan = v != v, had_nan = value != value;
    const bool better = (kLargest ? v > value : v < value) || (is_nan && !had_nan) || ((v == value || (is_nan && had_nan)) && i < best);
    if (better && !(had_nan && !is_nan)) best = i, value = v;
  };
  if (whole > 0) {
    seen.start(x, lanes);
    for (std::int64_t i = 1; i < whole; ++i) seen.see(x + i * lanes, static_cast<std::int32_t>(i), lanes);
    for (int l = 0; l < lanes; ++l) consider(seen.best[l], std::int64_t{seen.at[l]} * lanes + l);
  }
  for (std::int64_t i = whole * lanes; i < count; ++i) consider(float{x[i]}, i);
  return best;
}

template <bool kLargest, class T>
void arg_extreme_of(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index) {
  constexpr int lanes = Lanes<kLargest>::kCount;
  parallel_ranges(
      outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(count * inner, 1)),
      [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t a = first; a < last; ++a) {
          const T* const from = x + a * count * inner;
          if (inner == 1) {
            index[a] = arg_of_row<kLargest>(count, from);
            continue;
          }
          for (std::int64_t b = 0; b < inner; b += lanes) {
            const int n = static_cast<int>(std::min<std::int64_t>(lanes, inner - b));
            Lanes<kLargest> seen;
            seen.start(from + b, n);
            for (std::int64_t r = 1; r < count; ++r) seen.see(from + r * inner + b, static_cast<std::int32_t>(r), n);
            for (int l = 0; l < n; ++l) index[a * inner + b + l] = seen.at[l];
          }
        }
      },
      1);
}

}  // namespace

template <class T>
void ArgExtreme<T>::fast(Extreme which, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index) {
  if (count > std::numeric_limits<std::int32_t>::max()) return reference(which, outer, count, inner, x, index);
  if (which == Extreme::largest) {
    arg_extreme_of<true>(outer, count, inner, x, index);
  } else {
    arg_extreme_of<false>(outer, count, inner, x, index);
  }
}

template void gather(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::uint8_t*, std::uint8_t*);
template void gather(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::uint16_t*, std::uint16_t*);
template void gather(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::uint32_t*, std::uint32_t*);
template void gather(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::uint64_t*, std::uint64_t*);
template GatherGradient<float>::Signature GatherGradient<float>::fast;
template GatherGradient<bfloat16>::Signature GatherGradient<bfloat16>::fast;
template ArgExtreme<float>::Signature ArgExtreme<float>::fast;
template ArgExtreme<bfloat16>::Signature ArgExtreme<bfloat16>::fast;

}  // namespace capstan::kernels
