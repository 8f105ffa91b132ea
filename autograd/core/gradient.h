#pragma once
// Gradient: what backward leaves for a value — absent, a dense tensor, or some rows of a table (row-sparse).
//
// Row-sparse form: `indices` i64 [N] names rows of a table whose shape is `shape`; `rows` [N, shape[1:]...] holds their
// gradients. An index may occur several times; the gradient of a row is then the sum. `coalesced` makes indices unique,
// and the gradient remembers that it was done.

#include <cstdint>

#include "autograd/core/tensor.h"

namespace capstan {

class Gradient {
 public:
  Gradient() = default;                             ///< absent: nothing flowed here
  Gradient(Tensor dense) : dense_(std::move(dense)) {}  // an op's backward returns tensors
  /// `unique`: the caller vouches that every index lies in the table and none occurs twice.
  static Gradient rows(Tensor indices, Tensor rows, const Shape& shape, bool unique = false);

  bool defined() const { return dense_.defined() || rows_.defined(); }
  bool is_sparse() const { return rows_.defined(); }
  /// The dense gradient. Throws InternalError if it is row-sparse or absent.
  const Tensor& dense() const;
  const Tensor& indices() const { return indices_; }  ///< i64 [N]
  const Tensor& row_values() const { return rows_; }  ///< [N, ...]
  bool has_unique_rows() const { return unique_; }
  /// Shape of the value that this is the gradient of.
  const Shape& shape() const { return is_sparse() ? shape_ : dense_.shape(); }

 private:
  Tensor dense_, indices_, rows_;
  Shape shape_;
  bool unique_ = false;
};

}  // namespace capstan
