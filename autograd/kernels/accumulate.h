#pragma once
// What the tape itself needs: copies, sums over broadcast axes, accumulation. Types: f32, bf16, f64 (copy: all).

#include "autograd/core/tensor.h"

namespace capstan::kernels {

/// to = from; equal shapes and element types, any strides.
void copy(const Tensor& from, const Tensor& to);
/// to = from in to's element type; equal shapes, `from` of any strides, `to` contiguous.
void convert(const Tensor& from, const Tensor& to);
/// to += from; equal shapes and element types, any strides.
void add_into(const Tensor& from, const Tensor& to);
/// to = the sum of `from` over the axes along which to's shape was broadcast to from's; `to` contiguous.
void sum_to_shape(const Tensor& from, const Tensor& to);
/// table[indices[i]] += rows[i] in the order of i; indices i64 [N], rows [N, ...], table [V, ...] contiguous. Throws ShapeError for an index
/// outside [0, V).
void scatter_add_rows(const Tensor& indices, const Tensor& rows, const Tensor& table);

}  // namespace capstan::kernels
