#pragma once
// + - * / and unary minus on tensors: the ops of elementwise.h under their usual names, found wherever a tensor is an operand.
//
// Two tensors must have the same floating element type; shapes broadcast. A number beside a tensor takes the tensor's type.
// There is no +=: tensors are not changed in place.

#include "autograd/ops/elementwise.h"

namespace capstan {

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }

inline Tensor operator+(const Tensor& x, double number) { return affine(x, 1.0, number); }
inline Tensor operator+(double number, const Tensor& x) { return affine(x, 1.0, number); }
inline Tensor operator-(const Tensor& x, double number) { return affine(x, 1.0, -number); }
inline Tensor operator-(double number, const Tensor& x) { return affine(x, -1.0, number); }
inline Tensor operator*(const Tensor& x, double number) { return affine(x, number); }
inline Tensor operator*(double number, const Tensor& x) { return affine(x, number); }
/// x times the reciprocal of the number, which may differ from the quotient in the last bit; it keeps nothing for backward.
inline Tensor operator/(const Tensor& x, double number) { return affine(x, 1.0 / number); }
inline Tensor operator/(double number, const Tensor& x) { return div(Tensor::scalar(number, x.dtype()), x); }

}  // namespace capstan
