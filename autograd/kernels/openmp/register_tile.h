#pragma once
// A small single-threaded matrix product for what is thin, tiny or part of a fused kernel: C = A * B in f32 with a tile of C held in
// registers. It is *not* the general product: large matrices and bf16 go to oneDNN (kernels/matmul.cpp decides).
//
// B is packed first, into panels of a few vectors (kPanel), all panels about equally wide: a panel is stored row after row, its width
// rounded up to whole vectors and filled up with zeros. A is read element by element with any strides. Sums run over k in ascending
// order, so an element of C does not depend on how rows are divided among threads.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "autograd/core/dtype.h"

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

inline Vector load(const float* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

constexpr std::int64_t vectors_of(std::int64_t columns) { return (columns + kVector - 1) / kVector; }
/// Floats that a packed B [rows, columns] takes.
constexpr std::int64_t packed_size(std::int64_t rows, std::int64_t columns) { return rows * vectors_of(columns) * kVector; }

/// B [rows, columns] in panels.
struct Packed {
  float* data = nullptr;
  std::int64_t rows = 0, columns = 0;

  std::int64_t panels() const { return (vectors_of(columns) + kPanel - 1) / kPanel; }
  /// The vector of a row at which panel p starts; panel p holds vectors [start(p), start(p + 1)), at most kPanel.
  std::int64_t start(std::int64_t p) const { return vectors_of(columns) * p / std::max<std::int64_t>(panels(), 1); }
  float* panel(std::int64_t p) const { return data + start(p) * kVector * rows; }
};

namespace detail {

/// The first `count` of a vector's values, then zeros.
template <class T>
Vector load_some(const T* from, std::int64_t count) {
  alignas(Vector) float values[kVector] = {};
  const std::int64_t n = std::min(count, kVector);
  for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(from[i]);
  return load(values);
}
inline Vector load_some(const float* from, std::int64_t count) {
  if (count >= kVector) return load(from);
  Vector v{};
  std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(float));
  return v;
}

/// One step: exchanges the off-diagonal blocks of size kSize in every block of size 2 kSize.
template <int kSize>
void exchange_blocks(Vector (&rows)[kVector]) {
  using Lanes [[gnu::vector_size(sizeof(Vector))]] = std::int32_t;
  Lanes upper{}, lower{};
  for (int lane = 0; lane < kVector; ++lane) {
    const bool own = (lane & kSize) == 0;
    upper[lane] = own ? lane : lane - kSize + int{kVector};
    lower[lane] = own ? lane + kSize : lane + int{kVector};
  }
  for (int i = 0; i < kVector; ++i) {
    if ((i & kSize) != 0) continue;
    const Vector a = rows[i], b = rows[i + kSize];
    rows[i] = __builtin_shuffle(a, b, upper);
    rows[i + kSize] = __builtin_shuffle(a, b, lower);
  }
}
template <int kSize = int{kVector} / 2>
void transpose(Vector (&rows)[kVector]) {
  exchange_blocks<kSize>(rows);
  if constexpr (kSize > 1) transpose<kSize / 2>(rows);
}

/// Fills a panel of B's transpose: column j of the panel is `from + j * stride`, contiguous.
template <class T>
void pack_transposed(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, std::int64_t width, float* panel) {
  for (std::int64_t j = 0; j < width; j += kVector) {
    for (std::int64_t k = 0; k < rows; k += kVector) {
      Vector block[kVector] = {};
      const std::int64_t count = std::min(kVector, rows - k);
      for (std::int64_t i = 0; i < std::min(kVector, columns - j); ++i) block[i] = load_some(from + (j + i) * stride + k, count);
      transpose(block);
      for (std::int64_t i = 0; i < count; ++i) std::memcpy(panel + (k + i) * width + j, &block[i], sizeof(Vector));
    }
  }
}

}  // namespace detail

/// Packs B; element (k, j) is b[k * row_stride + j * column_stride].
template <class T>
void pack(const Packed& packed, const T* b, std::int64_t row_stride, std::int64_t column_stride) {
  for (std::int64_t p = 0; p < packed.panels(); ++p) {
    const std::int64_t begin = packed.start(p) * kVector, width = packed.start(p + 1) * kVector - begin;
    const std::int64_t count = std::min(width, packed.columns - begin);
    float* const panel = packed.panel(p);
    const T* const from = b + begin * column_stride;
    const auto fill = [&](auto stride) {
      for (std::int64_t k = 0; k < packed.rows; ++k) {
        const T* const source = from + k * row_stride;
        float* const to = panel + k * width;
#pragma omp simd
        for (std::int64_t j = 0; j < count; ++j) to[j] = static_cast<float>(source[j * stride]);
        for (std::int64_t j = count; j < width; ++j) to[j] = 0.0f;
      }
    };
    if (row_stride == 1 && column_stride != 1) {
      detail::pack_transposed(from, column_stride, packed.rows, count, width, panel);
    } else if (column_stride == 1) {
      fill(std::integral_constant<std::int64_t, 1>{});
    } else {
      fill(column_stride);
    }
  }
}
/// What a tile of sums becomes: C = alpha * sum + beta * C.
struct Epilogue {
  float alpha = 1.0f;
  float beta = 0.0f;
};

namespace detail {

/// kRows rows times kVectors vectors of C.
template <int kRows, int kVectors>
void micro(std::int64_t depth, const float* a, std::int64_t a_row, std::int64_t a_column, const float* panel, float* c, std::int64_t c_row,
           std::int64_t columns, const Epilogue& epilogue) {
  Vector sum[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    Vector b[kVectors];
    for (int v = 0; v < kVectors; ++v) b[v] = load(panel + (k * kVectors + v) * kVector);
    for (int r = 0; r < kRows; ++r) {
      const Vector x = Vector{} + a[r * a_row + k * a_column];
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x * b[v];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t left = columns - v * kVector;
      if (left <= 0) break;
      float* const to = c + r * c_row + v * kVector;
      const std::size_t bytes = static_cast<std::size_t>(left) * sizeof(float);
      const auto partial = [&](const float* from) {  // a whole vector is one load, the rest of a row a short copy
        Vector x{};
        left >= kVector ? std::memcpy(&x, from, sizeof x) : std::memcpy(&x, from, bytes);
        return x;
      };
      Vector y = epilogue.alpha * sum[r][v];
      if (epilogue.beta != 0.0f) y += epilogue.beta * partial(to);
      left >= kVector ? std::memcpy(to, &y, sizeof y) : std::memcpy(to, &y, bytes);
    }
  }
}

constexpr int rows_of(int vectors) { return std::min(int{kSums} / vectors, 12); }

template <int kVectors>
void panel_product(std::int64_t rows, std::int64_t depth, const float* a, std::int64_t a_row, std::int64_t a_column, const float* panel,
                   float* c, std::int64_t c_row, std::int64_t columns, const Epilogue& epilogue) {
  constexpr int kRows = rows_of(kVectors);
  std::int64_t i = 0;
  const auto run = [&]<int R>() {
    for (; i + R <= rows; i += R) micro<R, kVectors>(depth, a + i * a_row, a_row, a_column, panel, c + i * c_row, c_row, columns, epilogue);
  };
  run.template operator()<kRows>();
  run.template operator()<4>();
  run.template operator()<2>();
  run.template operator()<1>();
}

}  // namespace detail

/// The part of B that a product uses: rows [first_row, first_row + depth) and the first `columns` columns.
struct Part {
  std::int64_t first_row = 0, depth = 0, columns = 0;
};

/// C [rows, part.columns] = A [rows, part.depth] * B's part, through the epilogue.
inline void multiply(std::int64_t rows, const float* a, std::int64_t a_row, std::int64_t a_column, const Packed& b, const Part& part,
                     float* c, std::int64_t c_row, const Epilogue& epilogue = {}) {
  for (std::int64_t p = 0; p < b.panels(); ++p) {
    const std::int64_t begin = b.start(p) * kVector, vectors = b.start(p + 1) - b.start(p);
    if (begin >= part.columns) break;
    const std::int64_t count = std::min(vectors * kVector, part.columns - begin);
    const float* const panel = b.panel(p) + part.first_row * vectors * kVector;
    const auto run = [&]<int V>() {
      detail::panel_product<V>(rows, part.depth, a, a_row, a_column, panel, c + begin, c_row, count, epilogue);
    };
    switch (vectors) {
      case 1: run.template operator()<1>(); break;
      case 2: run.template operator()<2>(); break;
      case 3: run.template operator()<std::min<int>(kPanel, 3)>(); break;
      default: run.template operator()<kPanel>(); break;
    }
  }
}
inline void multiply(std::int64_t rows, const float* a, std::int64_t a_row, std::int64_t a_column, const Packed& b, float* c,
                     std::int64_t c_row, const Epilogue& epilogue = {}) {
  multiply(rows, a, a_row, a_column, b, {.first_row = 0, .depth = b.rows, .columns = b.columns}, c, c_row, epilogue);
}

}  // namespace capstan::kernels::tile
