#include "autograd/kernels/matmul.h"

#include <utility>

#include "autograd/core/error.h"
#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/onednn/engine.h"
#include "autograd/kernels/onednn/matmul.h"
#include "autograd/kernels/openmp/matmul.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// Merges neighbouring batch axes along which all operands step alike, drops axes of size 1, and folds a batch into the rows where B
// repeats.
MatmulProblem simplified(const MatmulProblem& p) {
  MatmulProblem q = p;
  std::array<std::int64_t, kMaxRank> sizes{};
  std::size_t rank = 0;
  for (int axis = 0; axis < p.batch.rank(); ++axis) {
    const auto s = static_cast<std::size_t>(axis);
    const std::int64_t size = p.batch[axis];
    if (size == 1) continue;
    const auto merges = [&](const MatrixLayout& before, const MatrixLayout& now) { return before.batch[rank - 1] == now.batch[s] * size; };
    if (rank > 0 && merges(q.a, p.a) && merges(q.b, p.b) && merges(q.c, p.c)) {
      --rank;
      sizes[rank] *= size;
    } else {
      sizes[rank] = size;
    }
    q.a.batch[rank] = p.a.batch[s];
    q.b.batch[rank] = p.b.batch[s];
    q.c.batch[rank] = p.c.batch[s];
    ++rank;
  }
  while (rank > 0 && q.b.batch[rank - 1] == 0 && q.a.batch[rank - 1] == q.rows * q.a.row && q.c.batch[rank - 1] == q.rows * q.c.row) {
    q.rows *= sizes[rank - 1];
    --rank;
  }
  q.batch = Shape(std::span(sizes.data(), rank));
  return q;
}

// C^T = B^T A^T.
void transpose(MatmulProblem& p, const void*& a, const void*& b) {
  std::swap(p.rows, p.columns);
  std::swap(p.a, p.b);
  std::swap(a, b);
  for (MatrixLayout* m : {&p.a, &p.b, &p.c}) std::swap(m->row, m->column);
}

template <class T>
void run_transposed(MatmulProblem p, const void* a, const void* b, void* c) {
  require<InternalError>(p.out == dtype_of<T> && p.beta == 0.0, "matmul: the transposed product is written as ", p.out, " with beta ",
                         p.beta);
  const MatrixLayout result = p.c;
  transpose(p, a, b);  // from here on p.rows are the columns of C
  const Scratch<T> product(p.rows * p.columns);
  p.c = {.row = p.columns, .column = 1};
  onednn::matmul(p, a, b, product.data(), nullptr);
  openmp::copy_transposed(p.columns, p.rows, product.data(), static_cast<T*>(c), result.row);
}

void run_padded(MatmulProblem p, const void* a, const void* b, void* c, const void* bias) {
  require<InternalError>(p.in == DType::f32, "matmul: B is padded as f32, got ", p.in);
  constexpr std::int64_t kPadding = 16;  // elements: one cache line
  const std::int64_t pitch = p.columns + kPadding;
  const Scratch<float> copy(p.depth * pitch);
  const auto rows_of = [&](std::int64_t row) { return Layout(Shape{p.depth, row}).slice(1, 0, p.columns); };
  // As words: a copy keeps every bit.
  copy_words<std::uint32_t>({static_cast<const std::uint32_t*>(b), rows_of(p.b.row)},
                            {reinterpret_cast<std::uint32_t*>(copy.data()), rows_of(pitch)});
  p.b.row = pitch;
  onednn::matmul(p, a, copy.data(), c, bias);
}

// A copy of A or B as f32, in the order in which it lies; m becomes its layout.
Scratch<float> widened(const Shape& batch, MatrixLayout& m, std::int64_t rows, std::int64_t columns, const void* from) {
  const bool by_columns = m.row == 1 && m.column != 1;
  MatrixLayout source = m;
  if (by_columns) {
    std::swap(rows, columns);
    std::swap(source.row, source.column);
  }
  std::int64_t size = 0;
  m = dense_layout(batch, source, rows, columns, size);
  Scratch<float> copy(size);
  openmp::copy_matrices(batch, rows, columns, static_cast<const bfloat16*>(from), source, copy.data(), m);
  if (by_columns) std::swap(m.row, m.column);
  return copy;
}

// bf16 on a processor without vectors for it: the product of f32 copies, rounded once. Correct everywhere, and no faster than f32.
void run_widened(const MatmulProblem& p, const void* a, const void* b, void* c, const void* bias) {
  MatmulProblem wide = p;
  wide.in = wide.out = DType::f32;
  const Scratch<float> wide_a = widened(p.batch, wide.a, p.rows, p.depth, a), wide_b = widened(p.batch, wide.b, p.depth, p.columns, b);
  const Scratch<float> wide_bias(bias == nullptr ? 0 : p.columns);
  if (bias != nullptr) convert_type(DType::bf16, bias, Layout(Shape{p.columns}), DType::f32, wide_bias.data());
  const float* const bias_or_null = bias == nullptr ? nullptr : wide_bias.data();
  if (p.out == DType::f32) return Matmul::fast(wide, wide_a.data(), wide_b.data(), c, bias_or_null);
  std::int64_t size = 0;
  wide.c = dense_layout(p.batch, p.c, p.rows, p.columns, size);
  const Scratch<float> wide_c(size);
  auto* const narrow_c = static_cast<bfloat16*>(c);
  if (p.beta != 0.0) openmp::copy_matrices<bfloat16, float>(p.batch, p.rows, p.columns, narrow_c, p.c, wide_c.data(), wide.c);
  Matmul::fast(wide, wide_a.data(), wide_b.data(), wide_c.data(), bias_or_null);
  openmp::copy_matrices<float, bfloat16>(p.batch, p.rows, p.columns, wide_c.data(), wide.c, narrow_c, p.c);
}

}  // namespace

MatrixLayout dense_layout(const Shape& batch, const MatrixLayout& m, std::int64_t rows, std::int64_t columns, std::int64_t& size) {
  MatrixLayout dense;
  dense.row = columns;
  dense.column = 1;
  size = rows * columns;
  for (int axis = batch.rank() - 1; axis >= 0; --axis) {
    const auto s = static_cast<std::size_t>(axis);
    if (m.batch[s] == 0) continue;
    dense.batch[s] = size;
    size *= batch[axis];
  }
  return dense;
}

// Measured on two cores with AVX-512 while other programs ran (microseconds; M rows, N columns, K depth; A^T: the rows of A have unit
// stride, as in the gradient of a weight):
//     M      N      K           library  split  library transposed and copied
//     25600  50     50             650      -      -   bound by memory
//     50     50     25600  A^T     866    855      -   and split sums alike for every number of threads
//     64     64     8192   A^T     434    364      -
//     3416   50     512    A^T    1018      -    950   bf16 1190 and 380
//     30522  128    1024   A^T   83900      -  44000   bf16 19300 and 13000
// On one core of a later processor: bf16 3416 x 50 x 307 147 and 178 GFLOP/s, 8192 x 128 x 512 180 and 133, 2048 x 256 x 203 206 and 107.
// Rows of B that are a multiple of 1 KiB apart meet in the same few sets of the cache. GFLOP/s with B as it is, and with a copy of B padded
// by a cache line (the time of the copy included), alike for A and A^T:
//     M      N      K           library  padded
//     1024   3072   768          140      405
//     768    3072   1024         118      386
//     1024   1536   1024         320      405
//     2048   768    512          335      388
//     1024   1024   1024         365      395
//     256    1024   4096         345      275   too few rows of A for the copy to pay
//     16384  512    128          405      350
// Transposing or packing operands of other products gains nothing. Small products run on one thread (onednn/matmul.cpp).
MatmulKernel choose_matmul_kernel(const MatmulProblem& p, bool has_bias) {
  const std::int64_t batches = p.batch.numel(), output = p.rows * p.columns;
  const bool f32 = p.in == DType::f32 && p.out == DType::f32;
  if (f32 && batches == 1 && p.depth >= 2048 && output <= 128 * 128) return MatmulKernel::split;
  const bool weight_gradient = batches == 1 && p.a.row == 1 && p.a.column != 1 && p.beta == 0.0 && !has_bias;
  const bool tall = f32 ? p.rows >= 64 * p.columns : p.rows >= 4 * p.columns && p.columns <= 128;
  if (weight_gradient && p.rows >= 1024 && tall) return MatmulKernel::library_transposed;
  const bool aligned_rows = p.b.column == 1 && p.b.row % 256 == 0 && p.b.row >= p.columns && p.columns >= 768;
  if (f32 && batches == 1 && aligned_rows && p.rows >= 512) return MatmulKernel::library_padded;
  return MatmulKernel::library;
}

profile::Work Matmul::work(const MatmulProblem& p) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  return {.flops = 2 * number(p.batch.numel() * p.rows) * number(p.columns) * number(p.depth)};
}

void Matmul::fast(const MatmulProblem& problem, const void* a, const void* b, void* c, const void* bias) {
  MatmulProblem p = problem;
  if (p.c.column != 1) {
    require<InternalError>(p.c.row == 1 && bias == nullptr, "matmul: C needs a unit stride, and rows of unit stride for a bias: strides ",
                           p.c.row, ", ", p.c.column);
    transpose(p, a, b);
  }
  if (p.in == DType::bf16 && !onednn::computes_bfloat16()) return run_widened(p, a, b, c, bias);
  switch (choose_matmul_kernel(p, bias != nullptr)) {
    case MatmulKernel::library: return onednn::matmul(p, a, b, c, bias);
    case MatmulKernel::library_transposed:
      return p.out == DType::f32 ? run_transposed<float>(p, a, b, c) : run_transposed<bfloat16>(p, a, b, c);
    case MatmulKernel::library_padded: return run_padded(p, a, b, c, bias);
    case MatmulKernel::split:
      return openmp::matmul_split(p, static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(c),
                                  static_cast<const float*>(bias));
  }
}

void matmul(const MatmulProblem& problem, const void* a, const void* b, void* c, const void* bias) {
  require<InternalError>(bias == nullptr || problem.alpha == 1.0, "matmul: alpha must be 1 beside a bias, got ", problem.alpha);
  if (problem.batch.numel() * problem.rows * problem.columns == 0) return;
  MatmulProblem p = simplified(problem);
  if (p.alpha == 0.0) p.depth = 0;  // as in BLAS: A and B are not read
  const KernelScope<Matmul> scope(p);
  runs_fast(p.in) && p.depth > 0 ? Matmul::fast(p, a, b, c, bias) : Matmul::reference(p, a, b, c, bias);
}

}  // namespace capstan::kernels
