#pragma once
// Gradient: what backward leaves for a value, and the sum of two of them. It has one of four forms:
//   absent   nothing flowed here
//   dense    a tensor of the value's shape
//   rows     some rows of a table (row-sparse): `indices` i64 [N] names rows of a table, `values` [N, shape[1:]...] holds their gradients.
//            An index may occur several times; the gradient of a row is then the sum
//   slice    the part of the value that a slice took; zero elsewhere
// Only what is there is stored: a step that reads one row of a table or one time step of a sequence costs that row or step.
//
// The numbers may be wider than the value's (f32 for a bf16 weight), so that a sum is rounded once, by whoever needs it narrow.

#include <cstdint>
#include <memory>

#include "autograd/core/tensor.h"

namespace capstan {

class Gradient {
 public:
  Gradient() = default;
  /// Dense; absent for an undefined tensor. (An op's backward returns tensors.)
  Gradient(Tensor dense) : values_(std::move(dense)) {}
  /// `unique`: the caller vouches that every index lies in the table and none occurs twice.
  static Gradient rows(Tensor indices, Tensor values, const Shape& shape, bool unique = false);
  /// `part` belongs to the elements that `place` names in a contiguous tensor of `shape`.
  static Gradient slice(Tensor part, const Layout& place, const Shape& shape);

  bool defined() const { return values_.defined(); }
  bool is_dense() const { return defined() && form_ == nullptr; }
  bool is_sparse() const { return form_ != nullptr && form_->indices.defined(); }
  bool is_slice() const { return form_ != nullptr && !form_->indices.defined(); }
  /// Shape of the value that this is the gradient of.
  const Shape& shape() const { return form_ != nullptr ? form_->shape : values_.shape(); }
  DType dtype() const { return values_.dtype(); }

  /// The dense gradient. Throws InternalError in any other form.
  const Tensor& dense() const;
  /// Of rows; throws InternalError in any other form.
  const Tensor& indices() const;     ///< i64 [N]
  const Tensor& row_values() const;  ///< [N, ...]
  bool has_unique_rows() const { return form_ != nullptr && form_->unique; }

  /// All elements, written out: the dense tensor itself, or a new one with zeros where nothing is. Not of an absent gradient.
  Tensor to_dense() const;
  /// The same form with numbers of another floating type.
  Gradient to(DType dtype) const;
  /// *this += incoming, in the wider of both types; either may be absent. Writes in place where nobody else holds the memory.
  void add(Gradient incoming);

 private:
  struct Form {
    Shape shape;
    Tensor indices;  // of rows
    bool unique = false;
    Layout place;  // of a slice
  };
  static Gradient make(Tensor values, Form form);

  Tensor values_;
  std::shared_ptr<const Form> form_;  // null: dense or absent
};

}  // namespace capstan
