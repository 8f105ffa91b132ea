#pragma once
// Matrix products of f32 by register tiles (gemm_tile.h), for shapes at which the library loses time: tiny ones, and thin outputs
// of a great depth (the gradient of a small weight over many rows).

#include "autograd/kernels/matmul.h"

namespace capstan::kernels::openmp {

/// p.in and p.out are f32, p.c.column is 1. Rows (or batches) are divided among threads.
void matmul_tiles(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias);

/// The same for one matrix (p.batch.numel() is 1): the depth is cut into parts fixed by the sizes alone; their sums are added in order.
void matmul_split(const MatmulProblem& p, const float* a, const float* b, float* c, const float* bias);

/// to[i * to_row + j] = from[j * rows + i] for i in [0, rows), j in [0, columns). T: float, bfloat16.
template <class T>
void copy_transposed(std::int64_t rows, std::int64_t columns, const T* from, T* to, std::int64_t to_row);

}  // namespace capstan::kernels::openmp
