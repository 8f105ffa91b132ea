#pragma once
// For ops whose kernels know float and double only: bf16 is widened on the way in and rounded on the way out.

#include "autograd/core/gradient.h"
#include "autograd/core/tensor.h"

namespace capstan::detail {

/// The type that such an op computes in: f64 for f64, else f32.
constexpr DType compute_type(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }
/// A contiguous tensor of the same values in another floating type; the same memory if there is nothing to change.
Tensor converted(const Tensor& t, DType dtype);
/// The same in the computing type; an undefined tensor stays undefined.
inline Tensor widened(const Tensor& t) { return t.defined() ? converted(t, compute_type(t.dtype())) : t; }
/// A gradient in an input's type, absent for an undefined tensor.
inline Gradient narrowed(const Tensor& t, DType dtype) { return t.defined() ? Gradient(converted(t, dtype)) : Gradient{}; }

/// Calls f with a value of the computing type of `dtype`.
template <class F>
decltype(auto) with_compute_type(DType dtype, const F& f) {
  return dtype == DType::f64 ? f(double{}) : f(float{});
}

// The first element for a kernel, null for an undefined tensor.
template <class T>
const T* input_pointer(const Tensor& t) { return t.defined() ? t.data<const T>() : nullptr; }
template <class T>
T* output_pointer(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }

}  // namespace capstan::detail
