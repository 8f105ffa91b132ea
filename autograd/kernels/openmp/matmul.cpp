#include "autograd/kernels/openmp/matmul.h"

#include <utility>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kDepthBlock = 256;    // rows of B that stay in the first-level cache while all rows of A pass
constexpr std::int64_t kFlopsPerGrain = 32;  // work is counted in additions of parallel.h; a tile does about this many flops in that time

// c [rows, columns] (+)= A's columns [first, last) * B's rows [first, last), a block of the depth at a time.
void accumulate_part(const MatmulProblem& p, const float* a, const float* b, std::int64_t first, std::int64_t last, float* packed,
                     float* c) {
  for (std::int64_t k = first; k < last; k += kDepthBlock) {
    const tile::Packed<float> block{packed, std::min(kDepthBlock, last - k), p.columns};
    tile::pack(block, b + k * p.b.row, p.b.row, p.b.column);
    tile::multiply(p.rows, a + k * p.a.column, p.a.row, p.a.column, block, c, p.columns, {.beta = k == first ? 0.0f : 1.0f});
  }
}

}  // namespace

void matmul_split(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias) {
  const std::int64_t parts = std::clamp<std::int64_t>(p.depth / (4 * kDepthBlock), 1, 8);
  const std::int64_t size = p.rows * p.columns, block = tile::packed_size(kDepthBlock, p.columns);
  const Scratch<float> sums(parts * size), packed(parts * block);
  parallel_tasks(parts, p.depth * size / kFlopsPerGrain, [&](std::int64_t part) {
    const std::int64_t first = p.depth * part / parts, last = p.depth * (part + 1) / parts;
    accumulate_part(p, a, b, first, last, packed.data() + part * block, sums.data() + part * size);
  });
  const auto alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
  parallel_tasks(p.rows, parts * size, [&](std::int64_t i) {
    float *const first = sums.data() + i * p.columns, *const to = c + i * p.c.row;
    for (std::int64_t part = 1; part < parts; ++part) {
      const float* const next = first + part * size;
#pragma omp simd
      for (std::int64_t j = 0; j < p.columns; ++j) first[j] += next[j];
    }
    for (std::int64_t j = 0; j < p.columns; ++j) {
      float y = alpha * first[j];
      if (beta != 0.0f) y += beta * to[j];
      if (bias != nullptr) y += bias[j];
      to[j] = y;
    }
  });
}

template <class T>
void copy_transposed(std::int64_t rows, std::int64_t columns, const T* from, T* to, std::int64_t to_row) {
  constexpr std::int64_t kBlock = 32;  // a block of both sides fits in the first-level cache
  parallel_ranges(rows, kGrain / columns + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i0 = first; i0 < last; i0 += kBlock) {
      for (std::int64_t j0 = 0; j0 < columns; j0 += kBlock) {
        const std::int64_t i1 = std::min(last, i0 + kBlock), j1 = std::min(columns, j0 + kBlock);
        for (std::int64_t i = i0; i < i1; ++i)
          for (std::int64_t j = j0; j < j1; ++j) to[i * to_row + j] = from[j * rows + i];
      }
    }
  });
}
template void copy_transposed(std::int64_t, std::int64_t, const float*, float*, std::int64_t);
template void copy_transposed(std::int64_t, std::int64_t, const bfloat16*, bfloat16*, std::int64_t);

template <class From, class To>
void copy_matrices(const Shape& batch, std::int64_t rows, std::int64_t columns, const From* from, const MatrixLayout& from_layout, To* to,
                   const MatrixLayout& to_layout) {
  MatrixLayout source = from_layout, target = to_layout;
  if (source.column != 1 && source.row == 1) {  // along the columns: as rows of the transposed
    std::swap(rows, columns);
    for (MatrixLayout* m : {&source, &target}) std::swap(m->row, m->column);
  }
  std::int64_t matrices = 1;
  for (int axis = 0; axis < batch.rank(); ++axis)
    if (target.batch[static_cast<std::size_t>(axis)] != 0) matrices *= batch[axis];
  const auto copy_row = [&](const From* x, To* y) {
    if (source.column == 1 && target.column == 1) {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) y[j] = convert<To>(x[j]);
    } else {
      for (std::int64_t j = 0; j < columns; ++j) y[j * target.column] = convert<To>(x[j * source.column]);
    }
  };
  parallel_ranges(matrices * rows, kGrain / std::max<std::int64_t>(columns, 1) + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      std::int64_t rest = r / rows, at = r % rows * source.row, put = r % rows * target.row;
      for (int axis = batch.rank() - 1; axis >= 0; --axis) {
        const auto s = static_cast<std::size_t>(axis);
        if (target.batch[s] == 0) continue;
        at += rest % batch[axis] * source.batch[s];
        put += rest % batch[axis] * target.batch[s];
        rest /= batch[axis];
      }
      copy_row(from + at, to + put);
    }
  });
}
template void copy_matrices(const Shape&, std::int64_t, std::int64_t, const float*, const MatrixLayout&, float*, const MatrixLayout&);
template void copy_matrices(const Shape&, std::int64_t, std::int64_t, const float*, const MatrixLayout&, bfloat16*, const MatrixLayout&);
template void copy_matrices(const Shape&, std::int64_t, std::int64_t, const bfloat16*, const MatrixLayout&, float*, const MatrixLayout&);
template void copy_matrices(const Shape&, std::int64_t, std::int64_t, const bfloat16*, const MatrixLayout&, bfloat16*, const MatrixLayout&);

}  // namespace capstan::kernels::openmp
