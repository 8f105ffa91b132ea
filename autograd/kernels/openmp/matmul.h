#pragma once
// What the library lacks for matrix products: a thin output of a great depth (the gradient of a small weight over many rows), a transposed
// copy, and copies of matrices in another layout or type.

#include "autograd/kernels/matmul.h"

namespace capstan::kernels::openmp {

/// One matrix (p.batch.numel() is 1) of f32, p.c.column is 1: the depth is cut into parts fixed by the sizes alone, which threads multiply
/// by register tiles (register_tile.h); their sums are added in order.
void matmul_split(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias);

/// to[i * to_row + j] = from[j * rows + i] for i in [0, rows), j in [0, columns). T: float, bfloat16.
template <class T>
void copy_transposed(std::int64_t rows, std::int64_t columns, const T* from, T* to, std::int64_t to_row);

/// to = from, element by element, for all matrices of a batch; an axis of the batch that `to` repeats is copied once. From and To: float,
/// bfloat16. Fastest where both lie in the same order.
template <class From, class To>
void copy_matrices(const Shape& batch, std::int64_t rows, std::int64_t columns, const From* from, const MatrixLayout& from_layout, To* to,
                   const MatrixLayout& to_layout);

}  // namespace capstan::kernels::openmp
