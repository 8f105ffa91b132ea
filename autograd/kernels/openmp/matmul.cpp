#include "autograd/kernels/openmp/matmul.h"

#include "autograd/kernels/openmp/gemm_tile.h"
#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kDepthBlock = 256;  // rows of B that stay in the first-level cache while all rows of A pass
constexpr std::int64_t kFlopsPerGrain = 32;  // work is counted in additions of parallel.h; a tile does about this many flops in that time

tile::Finish finish_of(const MatmulProblem& p, const float* bias) {
  return {.alpha = static_cast<float>(p.alpha), .beta = static_cast<float>(p.beta), .bias = bias, .relu = p.relu};
}

struct Offsets {
  std::int64_t a = 0, b = 0, c = 0;
};
Offsets offsets_of(const MatmulProblem& p, std::int64_t n) {
  Offsets at;
  for (int axis = p.batch.rank() - 1; axis >= 0; --axis) {
    const auto s = static_cast<std::size_t>(axis);
    const std::int64_t index = n % p.batch[axis];
    n /= p.batch[axis];
    at.a += index * p.a.batch[s];
    at.b += index * p.b.batch[s];
    at.c += index * p.c.batch[s];
  }
  return at;
}

// c [rows, columns] (+)= A's columns [first, last) * B's rows [first, last), a block of the depth at a time.
void accumulate_part(const MatmulProblem& p, const float* a, const float* b, std::int64_t first, std::int64_t last, float* packed, float* c) {
  for (std::int64_t k = first; k < last; k += kDepthBlock) {
    const tile::Packed block{packed, std::min(kDepthBlock, last - k), p.columns};
    tile::pack(block, b + k * p.b.row, p.b.row, p.b.column);
    tile::multiply(p.rows, a + k * p.a.column, p.a.row, p.a.column, block, c, p.columns, {.beta = k == first ? 0.0f : 1.0f});
  }
}

}  // namespace

void matmul_tiles(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias) {
  const std::int64_t batches = p.batch.numel(), work = batches * p.rows * p.columns * p.depth * 2 / kFlopsPerGrain;
  const tile::Finish finish = finish_of(p, bias);
  if (batches == 1) {
    const Scratch<float> memory(tile::packed_size(p.depth, p.columns));
    const tile::Packed packed{memory.data(), p.depth, p.columns};
    parallel_ranges(packed.panels(), kGrain / (4 * tile::kVector * p.depth) + 1,
                    [&](std::int64_t first, std::int64_t last) { tile::pack(packed, b, p.b.row, p.b.column, first, last); }, 1);
    parallel_ranges(p.rows, kGrain * p.rows / std::max<std::int64_t>(work, 1) + 1, [&](std::int64_t first, std::int64_t last) {
      tile::multiply(last - first, a + first * p.a.row, p.a.row, p.a.column, packed, c + first * p.c.row, p.c.row, finish);
    }, 24);
    return;
  }
  parallel_ranges(batches, kGrain * batches / std::max<std::int64_t>(work, 1) + 1, [&](std::int64_t first, std::int64_t last) {
    const Scratch<float> memory(tile::packed_size(p.depth, p.columns));
    const tile::Packed packed{memory.data(), p.depth, p.columns};
    std::int64_t packed_from = -1;
    for (std::int64_t n = first; n < last; ++n) {
      const Offsets at = offsets_of(p, n);
      if (at.b != packed_from) tile::pack(packed, b + at.b, p.b.row, p.b.column);
      packed_from = at.b;
      tile::multiply(p.rows, a + at.a, p.a.row, p.a.column, packed, c + at.c, p.c.row, finish);
    }
  }, 1);
}

void matmul_split(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias) {
  const std::int64_t parts = std::clamp<std::int64_t>(p.depth / (4 * kDepthBlock), 1, 8);
  const std::int64_t size = p.rows * p.columns, block = tile::packed_size(kDepthBlock, p.columns);
  const Scratch<float> sums(parts * size), packed(parts * block);
  parallel_tasks(parts, p.depth * size / kFlopsPerGrain, [&](std::int64_t part) {
    const std::int64_t first = p.depth * part / parts, last = p.depth * (part + 1) / parts;
    accumulate_part(p, a, b, first, last, packed.data() + part * block, sums.data() + part * size);
  });
  const tile::Finish finish = finish_of(p, bias);
  for (std::int64_t i = 0; i < p.rows; ++i) {
    float* const to = c + i * p.c.row;
    for (std::int64_t j = 0; j < p.columns; ++j) {
      float sum = 0.0f;
      for (std::int64_t part = 0; part < parts; ++part) sum += sums[part * size + i * p.columns + j];
      float y = finish.alpha * sum;
      if (finish.beta != 0.0f) y += finish.beta * to[j];
      if (bias != nullptr) y += bias[j];
      to[j] = finish.relu ? std::max(y, 0.0f) : y;
    }
  }
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

}  // namespace capstan::kernels::openmp
