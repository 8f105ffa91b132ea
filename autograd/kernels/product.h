#pragma once
// One plain matrix product on row-major arrays, C = op(A) op(B): kernels/matmul.h for callers that hold pointers and sizes.

#include <cstdint>

#include "autograd/kernels/matmul.h"

namespace capstan::kernels {

struct Product {
  std::int64_t m = 0, n = 0, k = 0;               ///< C [m, n], op(A) [m, k], op(B) [k, n]
  bool transpose_a = false, transpose_b = false;  ///< A is stored [k, m], B is stored [n, k]
  std::int64_t lda = 0, ldb = 0, ldc = 0;         ///< elements from one stored row to the next; 0: no gap
};

template <class T>
void multiply(const T* a, const T* b, T* c, const Product& p) {
  const auto layout = [](std::int64_t stride, std::int64_t width, bool transposed) {
    const std::int64_t row = stride != 0 ? stride : width;
    return transposed ? MatrixLayout{.row = 1, .column = row} : MatrixLayout{.row = row, .column = 1};
  };
  matmul({.in = dtype_of<T>,
          .out = dtype_of<T>,
          .rows = p.m,
          .columns = p.n,
          .depth = p.k,
          .a = layout(p.lda, p.transpose_a ? p.m : p.k, p.transpose_a),
          .b = layout(p.ldb, p.transpose_b ? p.k : p.n, p.transpose_b),
          .c = layout(p.ldc, p.n, false)},
         a, b, c);
}

}  // namespace capstan::kernels
