#include "autograd/kernels/accumulate.h"

#include <omp.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "autograd/core/storage.h"
#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels {
namespace {

// to[i, j] = from[i, j] where `from` is dense along i and `to` along j: tile by tile through a buffer, so that memory on either side is
// met a whole cache line at a time, however unlucky the strides.
template <class Word>
void transpose(std::int64_t ni, std::int64_t nj, const Word* from, std::int64_t from_j, Word* to, std::int64_t to_i) {
  constexpr std::int64_t tile = 32, pitch = tile + 1;
  Word buffer[tile * pitch];
  for (std::int64_t i0 = 0; i0 < ni; i0 += tile)
    for (std::int64_t j0 = 0; j0 < nj; j0 += tile) {
      const std::int64_t rows = std::min(tile, ni - i0), columns = std::min(tile, nj - j0);
      for (std::int64_t j = 0; j < columns; ++j)
        for (std::int64_t i = 0; i < rows; ++i) buffer[i * pitch + j] = from[(j0 + j) * from_j + i0 + i];
      for (std::int64_t i = 0; i < rows; ++i) std::copy_n(buffer + i * pitch, columns, to + (i0 + i) * to_i + j0);
    }
}

// The axis along which `from` is dense while `to` is dense along the innermost; -1 if the copy is no transposition.
template <std::size_t N>
int transposed_axis(const StridedLoop<N>& loop) {
  if (loop.rank() < 2 || loop.inner_stride(1) != 1 || loop.inner_stride(0) <= 1) return -1;
  for (std::size_t a = 0; a + 1 < loop.rank(); ++a)
    if (loop.stride(a, 0) == 1) return static_cast<int>(a);
  return -1;
}

}  // namespace

template <class Word>
void copy_words(const Strided<const Word>& from, const Strided<Word>& to) {
  StridedLoop<2> loop({&from.layout, &to.layout});
  if (const int axis = transposed_axis(loop); axis >= 0) {
    loop.move_beside_inner(static_cast<std::size_t>(axis));
    const std::size_t dense = loop.rank() - 2;
    const std::int64_t ni = loop.size(dense), nj = loop.size(dense + 1), plane = ni * nj;
    const std::int64_t strips = std::max<std::int64_t>(1, std::min<std::int64_t>(ni / 64, 8));  // threads divide a single plane, too
    parallel_tasks(loop.numel() / plane * strips, loop.numel(), [&](std::int64_t task) {
      const std::int64_t first = ni * (task % strips) / strips, last = ni * (task % strips + 1) / strips, start = task / strips * plane;
      loop.run(start, start + 1, [&](std::int64_t, const auto& at) {
        transpose(last - first, nj, from.data + at[0] + first, loop.inner_stride(0), to.data + at[1] + first * loop.stride(dense, 1),
                  loop.stride(dense, 1));
      });
    });
    return;
  }
  const std::int64_t s = loop.inner_stride(0), d = loop.inner_stride(1);
  parallel_ranges(loop.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    loop.run(first, last, [&](std::int64_t n, const auto& at) {
      const Word* const x = from.data + at[0];
      Word* const y = to.data + at[1];
      if (s == 1 && d == 1) {
        std::copy_n(x, n, y);
      } else {
        for (std::int64_t i = 0; i < n; ++i) y[i * d] = x[i * s];
      }
    });
  });
}

template <class T>
void AddInto<T>::fast(const Strided<const T>& from, const Strided<T>& to) {
  const StridedLoop<2> loop({&from.layout, &to.layout});
  const std::int64_t s = loop.inner_stride(0), d = loop.inner_stride(1);
  parallel_ranges(loop.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    loop.run(first, last, [&](std::int64_t n, const auto& at) {
      const T* const x = from.data + at[0];
      T* const y = to.data + at[1];
      if (s == 1 && d == 1) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) store(y[i], float{y[i]} + float{x[i]});
      } else {
        for (std::int64_t i = 0; i < n; ++i) store(y[i * d], float{y[i * d]} + float{x[i * s]});
      }
    });
  });
}

namespace {

constexpr std::int64_t kRun = 1024;      // elements of a row that are summed in float before they go to a double
constexpr std::int64_t kGroup = 64;      // rows that are summed in one float before it is added to the total
constexpr std::int64_t kTile = 512;      // columns summed at a time: two float rows that stay in the first-level cache
constexpr std::int64_t kMaxBlocks = 16;  // partial sums of a column

template <class In>
double sum_run(std::int64_t n, const In* x) {
  double total = 0;
  for (std::int64_t first = 0; first < n; first += kRun) {
    const std::int64_t last = std::min(n, first + kRun);
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = first; i < last; ++i) part += float{x[i]};
    total += static_cast<double>(part);
  }
  return total;
}

// y[a] = sum of row a.
template <class In, class Out>
void sum_last_axis(std::int64_t outer, std::int64_t count, const In* x, Out* y) {
  constexpr std::int64_t piece = 16 * kRun;
  const std::int64_t pieces = outer >= 16 ? 1 : std::max<std::int64_t>(1, (count + piece - 1) / piece);
  if (pieces == 1) {
    parallel_ranges(
        outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(count, 1)),
        [&](std::int64_t first, std::int64_t last) {
          for (std::int64_t a = first; a < last; ++a) y[a] = convert<Out>(sum_run(count, x + a * count));
        },
        1);
    return;
  }
  std::vector<double> partial(static_cast<std::size_t>(outer * pieces));
  parallel_tasks(outer * pieces, outer * count, [&](std::int64_t task) {
    const std::int64_t a = task / pieces, first = task % pieces * piece;
    partial[static_cast<std::size_t>(task)] = sum_run(std::min(piece, count - first), x + a * count + first);
  });
  for (std::int64_t a = 0; a < outer; ++a)
    y[a] = convert<Out>(std::accumulate(partial.begin() + a * pieces, partial.begin() + (a + 1) * pieces, 0.0));
}

// y[b] = sum of rows [0, count) of x [count, width] with the given distance between rows; width <= kTile.
template <class In>
void sum_tile(std::int64_t count, std::int64_t width, const In* x, std::int64_t distance, float* __restrict y) {
  alignas(64) float group[kTile];
  std::fill_n(y, width, 0.0f);
  for (std::int64_t r0 = 0; r0 < count; r0 += kGroup) {
    const std::int64_t r1 = std::min(count, r0 + kGroup);
    std::fill_n(group, width, 0.0f);
    std::int64_t r = r0;
    for (; r + 4 <= r1; r += 4) {
      const In* const a = x + r * distance;
      const In *const b = a + distance, *const c = b + distance, *const d = c + distance;
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) group[j] += (float{a[j]} + float{b[j]}) + (float{c[j]} + float{d[j]});
    }
    for (; r < r1; ++r) {
      const In* const a = x + r * distance;
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) group[j] += float{a[j]};
    }
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) y[j] += group[j];
  }
}

// y[b] = sum of `count` contiguous rows of narrow x: several rows are taken as one wide row, and that is folded at the end.
template <class In>
void sum_narrow(std::int64_t count, std::int64_t width, const In* x, float* y) {
  alignas(64) float wide[kTile];
  const std::int64_t fold = std::min(count, kTile / width), whole = fold == 0 ? 0 : count / fold;
  sum_tile(whole, fold * width, x, fold * width, wide);
  for (std::int64_t j = 0; j < width; ++j) {
    double total = 0;
    for (std::int64_t f = 0; f < fold; ++f) total += static_cast<double>(wide[f * width + j]);
    for (std::int64_t r = whole * fold; r < count; ++r) total += convert<double>(x[r * width + j]);
    y[j] = static_cast<float>(total);
  }
}

template <class In, class Out>
void sum_columns(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y) {
  const bool narrow = inner <= kTile / 4;
  const std::int64_t tiles = (inner + kTile - 1) / kTile, least = std::max<std::int64_t>(kGroup, 2 * kGrain / inner);
  const std::int64_t blocks = outer * tiles >= kMaxBlocks ? 1 : std::clamp<std::int64_t>(count / least, 1, kMaxBlocks);
  const auto bound = [&](std::int64_t block) { return count * block / blocks; };
  const auto sum_block = [&](std::int64_t task, float* to) {
    const std::int64_t block = task % blocks, tile = task / blocks % tiles, a = task / blocks / tiles;
    const std::int64_t rows = bound(block + 1) - bound(block), column = tile * kTile, width = std::min(kTile, inner - column);
    const In* const from = x + (a * count + bound(block)) * inner + column;
    if (narrow) {
      sum_narrow(rows, width, from, to);
    } else {
      sum_tile(rows, width, from, inner, to);
    }
  };
  // Writes the columns of a tile from the sums of its blocks, one after another, added in double.
  const auto write = [&](std::int64_t column_tile, const float* partial) {
    const std::int64_t column = column_tile % tiles * kTile, width = std::min(kTile, inner - column);
    for (std::int64_t j = 0; j < width; ++j) {
      double total = 0;
      for (std::int64_t block = 0; block < blocks; ++block) total += static_cast<double>(partial[block * kTile + j]);
      y[column_tile / tiles * inner + column + j] = convert<Out>(total);
    }
  };
  const std::int64_t tasks = outer * tiles * blocks, work = outer * count * inner;
  if (blocks == 1) {
    parallel_tasks(tasks, work, [&](std::int64_t task) {
      alignas(64) float total[kTile];
      sum_block(task, total);
      write(task, total);
    });
    return;
  }
  const Storage scratch(static_cast<std::size_t>(tasks * kTile) * sizeof(float));
  float* const partial = reinterpret_cast<float*>(scratch.data());
  parallel_tasks(tasks, work, [&](std::int64_t task) { sum_block(task, partial + task * kTile); });
  for (std::int64_t column_tile = 0; column_tile < outer * tiles; ++column_tile) write(column_tile, partial + column_tile * blocks * kTile);
}

}  // namespace

template <class In, class Out>
void SumAxis<In, Out>::fast(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y) {
  if (outer == 0 || inner == 0) return;
  if (inner == 1) {
    sum_last_axis(outer, count, x, y);
  } else {
    sum_columns(outer, count, inner, x, y);
  }
}

template void copy_words(const Strided<const std::uint8_t>&, const Strided<std::uint8_t>&);
template void copy_words(const Strided<const std::uint16_t>&, const Strided<std::uint16_t>&);
template void copy_words(const Strided<const std::uint32_t>&, const Strided<std::uint32_t>&);
template void copy_words(const Strided<const std::uint64_t>&, const Strided<std::uint64_t>&);
template AddInto<float>::Signature AddInto<float>::fast;
template AddInto<bfloat16>::Signature AddInto<bfloat16>::fast;
template SumAxis<float, float>::Signature SumAxis<float, float>::fast;
template SumAxis<bfloat16, float>::Signature SumAxis<bfloat16, float>::fast;
template SumAxis<float, bfloat16>::Signature SumAxis<float, bfloat16>::fast;
template SumAxis<bfloat16, bfloat16>::Signature SumAxis<bfloat16, bfloat16>::fast;

}  // namespace capstan::kernels
