#pragma once
// What the op families share between a Tensor and a kernel: pointers, rows, types, checks. For ops/*.cpp only.

#include <cstdint>
#include <span>
#include <string_view>

#include "autograd/core/tensor.h"
#include "autograd/kernels/dropout.h"
#include "autograd/kernels/numeric.h"
#include "autograd/kernels/scratch.h"
#include "autograd/kernels/strided.h"
#include "autograd/kernels/window.h"
#include "autograd/ops/window.h"

namespace capstan::ops {

// ---- pointers

/// The first element, null for an undefined tensor. T is const for what is only read.
template <class T>
T* pointer(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}
/// The same for kernels that take the element type as a number.
inline std::byte* raw_pointer(const Tensor& t) {
  return t.defined() ? t.storage().data() + static_cast<std::size_t>(t.layout().offset()) * size_of(t.dtype()) : nullptr;
}
/// A strided operand expanded to `shape`.
template <class T>
kernels::Strided<const T> strided(const Tensor& t, const Shape& shape) {
  return {t.data<const T>(), t.shape() == shape ? t.layout() : t.layout().expand(shape)};
}

// ---- layouts; an undefined tensor stays undefined

/// The same values without gaps: the tensor itself, or a copy made by all threads.
Tensor dense(const Tensor& t);
/// The same elements under another shape: a view where strides allow it, else a copy.
Tensor reshaped(const Tensor& t, const Shape& shape);
/// Elements [start, start + length) of an axis, every step-th: a view.
Tensor slice_view(const Tensor& t, int axis, std::int64_t start, std::int64_t length, std::int64_t step = 1);
/// Rows along the last axis.
inline std::int64_t rows_of(const Tensor& t) { return t.numel() == 0 ? 0 : t.numel() / t.size(-1); }
/// A new tensor if it is wanted, else undefined.
inline Tensor new_if(bool wanted, const Spec& spec) { return wanted ? Tensor(spec) : Tensor{}; }
/// dy, or zeros where no gradient arrived at an output of a form.
inline Tensor or_zeros(const Tensor& dy, const Spec& output) { return dy.defined() ? dy : Tensor::zeros(output.shape, output.dtype); }

// ---- element types

/// The type in which values stored as `t` are computed: f64 for f64, else f32.
constexpr DType compute_type(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }
/// A dense tensor of the same values in another type; the same memory if there is nothing to change.
Tensor converted(const Tensor& t, DType dtype);
/// The same in the computing type.
inline Tensor widened(const Tensor& t) { return t.defined() ? converted(t, compute_type(t.dtype())) : t; }
/// Calls f with a zero of the computing type of `dtype`.
template <class F>
decltype(auto) with_compute_type(DType dtype, const F& f) {
  return dtype == DType::f64 ? f(double{}) : f(float{});
}
/// factor * t, dense; t itself for factor 1.
Tensor scaled(const Tensor& t, double factor);

// ---- checks. Each throws an error that begins with the op's name.

/// `what` was not left out.
void check_present(std::string_view op, std::string_view what, const Spec& x);
/// `what` is of a floating type.
void check_floating(std::string_view op, std::string_view what, const Spec& x);
/// An operand by its name in the op's signature.
struct Named {
  std::string_view name;
  const Spec& spec;
};
/// The vector has `size` elements of the type of `other`, which determines its size; what was left out passes.
void check_vector(std::string_view op, const Named& vector, std::int64_t size, const Named& other);
/// 0 <= result < rank for an axis of x, which may be negative.
int check_axis(std::string_view op, const Spec& x, int axis);
/// Names the first index outside [0, size), its position and `size`. Skips positions where `valid` (as long as indices, or empty) is 0.
void check_indices(std::string_view op, std::string_view what, std::span<const std::int64_t> indices, std::int64_t size,
                   std::span<const std::uint8_t> valid = {});
/// The specification of an op on two floating operands of one type that broadcast.
Spec broadcast_spec(std::string_view op, const Spec& a, const Spec& b);

// ---- dropout

/// The checks that every op with dropout makes.
void check_dropout(std::string_view op, double p, const Spec& x, const Spec& row_ids);
/// The mask over a tensor of `numel` elements. `row_ids` dense or undefined; it must outlive the result.
kernels::DropoutMask dropout_mask(double p, std::uint64_t key, const Tensor& row_ids, std::int64_t numel);

// ---- windows of images

/// Height and width for an image x [B, C, H, W]. Throws DTypeError or ShapeError if x is no such image or the window does not fit into it.
std::array<kernels::WindowAxis, 2> window_axes(std::string_view op, const Spec& x, const std::array<std::int64_t, 2>& kernel,
                                               const Window& window);

}  // namespace capstan::ops
