#pragma once
// Batched matrix products on strided operands: C[b] = alpha * A[b] * B[b] + beta * C[b] + bias.
//
// Nothing is transposed or copied beforehand: op(A) is A with its strides exchanged. f32 and bf16 sum in f32.

#include <array>
#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/core/profile.h"
#include "autograd/core/shape.h"

namespace capstan::kernels {

/// How a batch of matrices lies in memory, in elements. A batch stride of 0 repeats the matrix.
struct MatrixLayout {
  std::int64_t row = 0, column = 0;
  std::array<std::int64_t, kMaxRank> batch{};
};

/// Where the matrices [rows, columns] of a layout lie in a copy without gaps, row by row; axes of the batch that repeat are not copied.
/// `size` becomes the copy's number of elements.
MatrixLayout dense_layout(const Shape& batch, const MatrixLayout& m, std::int64_t rows, std::int64_t columns, std::int64_t& size);

struct MatmulProblem {
  DType in = DType::f32;                          ///< A, B and bias: f32, bf16 or f64
  DType out = DType::f32;                         ///< C: as `in`, or f32 for bf16 operands
  std::int64_t rows = 0, columns = 0, depth = 0;  ///< A [rows, depth], B [depth, columns], C [rows, columns]
  Shape batch = {};                               ///< leading axes, the same for all three
  MatrixLayout a = {}, b = {}, c = {};            ///< c.row or c.column must be 1 and the matrices of C must not overlap
  double alpha = 1.0;                             ///< 1 if there is a bias
  double beta = 0.0;                              ///< 0: C is written without being read
};

/// Runs the product; `bias` holds one number a column, or is null.
void matmul(const MatmulProblem& problem, const void* a, const void* b, void* c, const void* bias = nullptr);

/// The two back ends, for problems with something to compute; `fast` takes f32 and bf16.
struct Matmul {
  static constexpr profile::Kind kind = profile::Kind::product;
  static profile::Work work(const MatmulProblem& p);
  using Signature = void(const MatmulProblem& problem, const void* a, const void* b, void* c, const void* bias);
  static Signature fast, reference;
};

/// The ways to compute a product of f32 or bf16.
enum class MatmulKernel {
  library,             ///< onednn/matmul.h
  library_transposed,  ///< the same for the transposed product, copied to C; without a bias
  library_padded,      ///< the same with a copy of B whose rows begin at different places of a page; f32
  split,               ///< openmp/matmul.h: the depth divided into fixed parts, partial sums added in order; f32
};
/// Which one `matmul` uses. The rule and its measurements are in matmul.cpp.
MatmulKernel choose_matmul_kernel(const MatmulProblem& problem, bool has_bias);

}  // namespace capstan::kernels
