#pragma once
// A small single-threaded matrix product for what is thin, tiny or part of a fused kernel: C = A * B with a tile of C held in registers,
// summed in f32. It is *not* the general product: large matrices go to oneDNN (kernels/matmul.cpp decides).
//
// Operands are f32 or bf16. Both are read in words of 32 bits along the depth: a word is one f32, or two bf16, whose products go to one
// sum. A is read word by word with any strides. B is packed first, into panels of a few vectors of words (kPanel), all panels about equally
// wide: a panel is stored row of words after row, its width rounded up to whole vectors; what fills it up is zeros, and so is the second
// half of the last word of an odd depth. Sums run over the depth in ascending order, so an element of C does not depend on how rows are
// divided among threads.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "autograd/core/dtype.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels::tile {

// What the registers of the instruction set hold: floats in one, vectors in a panel of B, sums beside the operands.
#if defined(__AVX512F__)
inline constexpr std::int64_t kVector = 16, kPanel = 4, kSums = 24;
#elif defined(__AVX__)
inline constexpr std::int64_t kVector = 8, kPanel = 2, kSums = 12;
#else
inline constexpr std::int64_t kVector = 4, kPanel = 2, kSums = 12;
#endif

using Vector [[gnu::vector_size(kVector * sizeof(float))]] = float;
using Words [[gnu::vector_size(sizeof(Vector))]] = std::uint32_t;
using Lanes [[gnu::vector_size(sizeof(Vector))]] = std::int32_t;

/// A constant vector whose lane i is f(i). The compiler does not see the constant in a loop that fills the lanes.
template <class V, class F>
constexpr V lanes(const F& f) {
  constexpr std::size_t kCount = sizeof(V) / sizeof(V{}[0]);
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) { return V{f(kLane)...}; }
  (std::make_integer_sequence<int, kCount>{});
}

/// Elements in a word.
template <class T>
inline constexpr std::int64_t kWord = static_cast<std::int64_t>(sizeof(float) / sizeof(T));

inline Vector load(const float* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline Vector load(const bfloat16* p) {
  using Halves [[gnu::vector_size(kVector * sizeof(bfloat16))]] = std::uint16_t;
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
#if defined(__AVX512BW__)
  // Each twice, by one instruction: the compiler widens them by four.
  using Doubled [[gnu::vector_size(sizeof(Vector))]] = std::uint16_t;
  const Doubled doubled = __builtin_shufflevector(halves, halves, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11,
                                                  11, 12, 12, 13, 13, 14, 14, 15, 15);
  return std::bit_cast<Vector>(std::bit_cast<Words>(doubled) & 0xffff0000u);
#else
  return std::bit_cast<Vector>(__builtin_convertvector(halves, Words) << 16);
#endif
}

constexpr std::int64_t vectors_of(std::int64_t columns) { return (columns + kVector - 1) / kVector; }
/// `columns` rounded up to whole vectors.
constexpr std::int64_t padded(std::int64_t columns) { return vectors_of(columns) * kVector; }
template <class T>
constexpr std::int64_t words_of(std::int64_t depth) {
  return (depth + kWord<T> - 1) / kWord<T>;
}
/// Elements that a packed B [rows, columns] takes.
template <class T = float>
constexpr std::int64_t packed_size(std::int64_t rows, std::int64_t columns) {
  return words_of<T>(rows) * kWord<T> * padded(columns);
}

/// B [rows, columns] in panels. T: float, bfloat16.
template <class T = float>
struct Packed {
  T* data = nullptr;
  std::int64_t rows = 0, columns = 0;

  std::int64_t panels() const { return (vectors_of(columns) + kPanel - 1) / kPanel; }
  /// The vector of a row at which panel p starts; panel p holds vectors [start(p), start(p + 1)), at most kPanel.
  std::int64_t start(std::int64_t p) const { return vectors_of(columns) * p / std::max<std::int64_t>(panels(), 1); }
  T* panel(std::int64_t p) const { return data + start(p) * kVector * words_of<T>(rows) * kWord<T>; }
};

namespace detail {

template <int kHalf>
inline constexpr Lanes kOtherHalf = lanes<Lanes>([](int lane) { return lane ^ kHalf; });

/// f of all lanes, by halves of kHalf.
template <int kHalf = int{kVector} / 2, class F>
float reduce(const Vector& v, const F& f) {
  const Vector other = __builtin_shuffle(v, v, kOtherHalf<kHalf>), halves = f(v, other);
  if constexpr (kHalf > 1) {
    return reduce<kHalf / 2>(halves, f);
  } else {
    return halves[0];
  }
}

}  // namespace detail

inline float sum_of_lanes(const Vector& v) {
  return detail::reduce(v, [](const Vector& a, const Vector& b) -> Vector { return a + b; });
}
/// The largest of a vector's values.
inline float max_of_lanes(const Vector& v) {
  return detail::reduce(v, [](const Vector& a, const Vector& b) -> Vector { return a > b ? a : b; });
}

/// y, rounded.
inline void store_vector(const Vector& y, float* to) { std::memcpy(to, &y, sizeof y); }
inline void store_vector(const Vector& y, bfloat16* to) {
#if defined(__AVX512BF16__)
  const auto narrow = _mm512_cvtneps_pbh(y);
  std::memcpy(static_cast<void*>(to), &narrow, sizeof narrow);
#else
#pragma omp simd simdlen(kVector)
  for (std::int64_t lane = 0; lane < kVector; ++lane) store(to[lane], y[lane]);
#endif
}

#if defined(__AVX512BF16__)
using Halves [[gnu::vector_size(sizeof(Vector))]] = std::uint16_t;
inline constexpr Halves kByTurns = lanes<Halves>([](int i) { return static_cast<std::uint16_t>(i / 2 + i % 2 * int{kVector}); });
#endif
/// Words whose halves are `first` and `second`, rounded to bf16.
inline Words join(const Vector& first, const Vector& second) {
#if defined(__AVX512BF16__)
  const auto halves = reinterpret_cast<Halves>(_mm512_cvtne2ps_pbh(second, first));
  return reinterpret_cast<Words>(__builtin_shuffle(halves, halves, kByTurns));
#else
  Words words{};
  for (int lane = 0; lane < kVector; ++lane)
    words[lane] = bfloat16(first[lane]).bits | static_cast<std::uint32_t>(bfloat16(second[lane]).bits) << 16;
  return words;
#endif
}

namespace detail {

/// The first `count` of a vector's values, then zeros.
inline Vector load_some(const float* from, std::int64_t count) {
  if (count >= kVector) return load(from);
  alignas(Vector) float values[kVector];
#pragma omp simd simdlen(kVector)
  for (std::int64_t lane = 0; lane < kVector; ++lane) values[lane] = lane < count ? from[lane] : 0.0f;  // becomes a load with a mask
  return load(values);
}
inline Vector load_some(const bfloat16* from, std::int64_t count) {
  if (count >= kVector) return load(from);
  alignas(Vector) bfloat16 values[kVector];
#pragma omp simd simdlen(kVector)
  for (std::int64_t lane = 0; lane < kVector; ++lane) values[lane].bits = lane < count ? from[lane].bits : std::uint16_t{0};  // likewise
  return load(values);
}

/// A vector of words whose first `count` elements are those at `from`; then zeros.
template <class T>
Vector load_words(const T* from, std::int64_t count) {
  constexpr std::int64_t kCount = kVector * kWord<T>;
  Vector v;
  if (count >= kCount) {
    std::memcpy(&v, from, sizeof v);
  } else {
    T elements[kCount];
#pragma omp simd simdlen(kCount)
    for (std::int64_t i = 0; i < kCount; ++i) elements[i] = i < count ? from[i] : T{};
    std::memcpy(&v, elements, sizeof v);
  }
  return v;
}

template <int kSize>
inline constexpr Lanes kUpper = lanes<Lanes>([](int lane) { return (lane & kSize) == 0 ? lane : lane - kSize + int{kVector}; });
template <int kSize>
inline constexpr Lanes kLower = lanes<Lanes>([](int lane) { return (lane & kSize) == 0 ? lane + kSize : lane + int{kVector}; });

/// One step: exchanges the off-diagonal blocks of size kSize in every block of size 2 kSize.
template <int kSize>
void exchange_blocks(Vector (&rows)[kVector]) {
  for (int i = 0; i < kVector; ++i) {
    if ((i & kSize) != 0) continue;
    const Vector a = rows[i], b = rows[i + kSize];
    rows[i] = __builtin_shuffle(a, b, kUpper<kSize>);
    rows[i + kSize] = __builtin_shuffle(a, b, kLower<kSize>);
  }
}
template <int kSize = int{kVector} / 2>
void transpose(Vector (&rows)[kVector]) {
  exchange_blocks<kSize>(rows);
  if constexpr (kSize > 1) transpose<kSize / 2>(rows);
}

/// Fills a panel of B's transpose: column j of the panel is `from + j * stride`, contiguous.
template <class T>
void pack_transposed(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, std::int64_t width, T* panel) {
  for (std::int64_t j = 0; j < width; j += kVector) {
    for (std::int64_t k = 0; k < rows; k += kVector * kWord<T>) {
      Vector block[kVector] = {};
      for (std::int64_t i = 0; i < std::min(kVector, columns - j); ++i) block[i] = load_words(from + (j + i) * stride + k, rows - k);
      transpose(block);
      const std::int64_t count = std::min(kVector, words_of<T>(rows - k));
      for (std::int64_t i = 0; i < count; ++i)
        std::memcpy(static_cast<void*>(panel + k * width + (i * width + j) * kWord<T>), &block[i], sizeof(Vector));
    }
  }
}

/// Fills a panel with rows of B that are contiguous but for `stride`, an integral constant or a number.
template <class T, class Stride>
void pack_rows(const T* from, std::int64_t row_stride, Stride stride, std::int64_t rows, std::int64_t columns, std::int64_t width,
               T* panel) {
  for (std::int64_t k = 0; k < rows; k += kWord<T>) {
    const T* const first = from + k * row_stride;
    T* const to = panel + k * width;
    if constexpr (kWord<T> == 1) {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) to[j] = first[j * stride];
    } else if (k + 1 < rows) {
      const T* const second = first + row_stride;
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        to[2 * j].bits = first[j * stride].bits;
        to[2 * j + 1].bits = second[j * stride].bits;
      }
    } else {
      for (std::int64_t j = 0; j < columns; ++j) to[2 * j] = first[j * stride], to[2 * j + 1] = T{};
    }
    std::fill(to + columns * kWord<T>, to + width * kWord<T>, T{});
  }
}

}  // namespace detail

/// Packs B; element (k, j) is b[k * row_stride + j * column_stride].
template <class T>
void pack(const Packed<T>& packed, const T* b, std::int64_t row_stride, std::int64_t column_stride) {
  for (std::int64_t p = 0; p < packed.panels(); ++p) {
    const std::int64_t begin = packed.start(p) * kVector, width = packed.start(p + 1) * kVector - begin;
    const std::int64_t count = std::min(width, packed.columns - begin);
    const T* const from = b + begin * column_stride;
    if (row_stride == 1 && column_stride != 1) {
      detail::pack_transposed(from, column_stride, packed.rows, count, width, packed.panel(p));
    } else if (column_stride == 1) {
      detail::pack_rows(from, row_stride, std::integral_constant<std::int64_t, 1>{}, packed.rows, count, width, packed.panel(p));
    } else {
      detail::pack_rows(from, row_stride, column_stride, packed.rows, count, width, packed.panel(p));
    }
  }
}

/// What a tile of sums becomes: C = alpha * sum + beta * C, and each row multiplied by its factor if there are any. beta is for an f32 C.
struct Epilogue {
  float alpha = 1.0f;
  float beta = 0.0f;
  const float* row_factors = nullptr;
};

namespace detail {

/// sum + a word of A, in all lanes, times words of B.
inline Vector multiply_add(const float* a, Vector b, Vector sum) { return sum + (Vector{} + *a) * b; }
inline Vector multiply_add(const bfloat16* a, Vector b, Vector sum) {
  std::uint32_t word = 0;
  std::memcpy(&word, a, sizeof word);
#if defined(__AVX512BF16__)
  // The one instruction without which bf16 is no faster than f32, and which the compiler has no other name for.
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(Words{} + word), reinterpret_cast<__m512bh>(b));
#else
  const auto words = reinterpret_cast<Words>(b);
  const auto second = [](auto w) { return w & 0xffff0000u; };
  sum += (Vector{} + std::bit_cast<float>(word << 16)) * reinterpret_cast<Vector>(words << 16);
  return sum + (Vector{} + std::bit_cast<float>(second(word))) * reinterpret_cast<Vector>(second(words));
#endif
}

/// The first `count` values of `y` to `to`, rounded.
template <class C>
void store_some(const Vector& y, std::int64_t count, C* to) {
  if (count >= kVector) return store_vector(y, to);
  alignas(Vector) C values[kVector];
  store_vector(y, values);
#pragma omp simd simdlen(kVector)
  for (std::int64_t lane = 0; lane < kVector; ++lane)  // a condition on every lane becomes a store with a mask
    if (lane < count) store(to[lane], values[lane]);
}

/// kRows rows times kVectors vectors of C, of which `columns` columns are there. A row of the panel is `panel_row` elements.
template <int kRows, int kVectors, class T, class C>
void micro(std::int64_t steps, const T* a, std::int64_t a_row, std::int64_t a_step, const T* panel, std::int64_t panel_row, C* c,
           std::int64_t c_row, std::int64_t columns, const Epilogue& epilogue) {
  Vector sum[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < steps; ++k, a += a_step, panel += panel_row) {
    Vector b[kVectors];
    for (int v = 0; v < kVectors; ++v) std::memcpy(&b[v], panel + v * kVector * kWord<T>, sizeof b[v]);
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add(a + r * a_row, b[v], sum[r][v]);
  }
  const auto finish = [&](auto all_columns) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const float factor = epilogue.row_factors == nullptr ? epilogue.alpha : epilogue.alpha * epilogue.row_factors[r];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        C* const to = c + r * c_row + v * kVector;
        const std::int64_t count = all_columns ? kVector : columns - v * kVector;
        if (count <= 0) break;
        Vector y = factor * sum[r][v];
        if constexpr (std::is_same_v<C, float>)
          if (epilogue.beta != 0.0f) y += epilogue.beta * load_some(to, count);
        store_some(y, count, to);
      }
    }
  };
  columns >= kVectors* kVector ? finish(std::true_type{}) : finish(std::false_type{});
}

constexpr int rows_of(int vectors) { return std::min(int{kSums} / vectors, 12); }

template <int kVectors, class T, class C>
void panel_product(std::int64_t rows, std::int64_t steps, const T* a, std::int64_t a_row, std::int64_t a_step, const T* panel,
                   std::int64_t panel_row, C* c, std::int64_t c_row, std::int64_t columns, Epilogue epilogue) {
  constexpr int kRows = rows_of(kVectors);
  const auto run = [&]<int R>() {
    for (; rows >= R; rows -= R) {
      micro<R, kVectors>(steps, a, a_row, a_step, panel, panel_row, c, c_row, columns, epilogue);
      a += R * a_row;
      c += R * c_row;
      if (epilogue.row_factors != nullptr) epilogue.row_factors += R;
    }
  };
  run.template operator()<kRows>();
  run.template operator()<4>();
  run.template operator()<2>();
  run.template operator()<1>();
}

}  // namespace detail

/// The part of B that a product uses: rows [first_row, first_row + depth) and the first `columns` columns. first_row begins a word.
struct Part {
  std::int64_t first_row = 0, depth = 0, columns = 0;
};

/// C [rows, part.columns] = A [rows, part.depth] * B's part, through the epilogue. Row r of A is words at a + r * a_row, each `a_step`
/// elements after the one before; the last of an odd depth is whole, and its second half is a number. C: float, bfloat16.
template <class T, class C>
void multiply(std::int64_t rows, const T* a, std::int64_t a_row, std::int64_t a_step, const Packed<T>& b, const Part& part, C* c,
              std::int64_t c_row, const Epilogue& epilogue = {}) {
  for (std::int64_t p = 0; p < b.panels(); ++p) {
    const std::int64_t begin = b.start(p) * kVector, vectors = b.start(p + 1) - b.start(p);
    if (begin >= part.columns) break;
    const std::int64_t count = std::min(vectors * kVector, part.columns - begin);
    const T* const panel = b.panel(p) + part.first_row * vectors * kVector;
    const auto run = [&]<int V>() {
      detail::panel_product<V>(rows, words_of<T>(part.depth), a, a_row, a_step, panel, vectors * kVector * kWord<T>, c + begin, c_row,
                               count, epilogue);
    };
    switch (vectors_of(count)) {
      case 1: run.template operator()<1>(); break;
      case 2: run.template operator()<2>(); break;
      case 3: run.template operator()<std::min<int>(kPanel, 3)>(); break;
      default: run.template operator()<kPanel>(); break;
    }
  }
}
template <class T, class C>
void multiply(std::int64_t rows, const T* a, std::int64_t a_row, std::int64_t a_step, const Packed<T>& b, C* c, std::int64_t c_row,
              const Epilogue& epilogue = {}) {
  multiply(rows, a, a_row, a_step, b, {.first_row = 0, .depth = b.rows, .columns = b.columns}, c, c_row, epilogue);
}

}  // namespace capstan::kernels::tile
