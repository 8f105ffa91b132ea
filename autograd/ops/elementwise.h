#pragma once
// Arithmetic element by element: sums, products, powers, selection and conversion.
//
// Two operands must have the same floating element type; shapes broadcast by NumPy's rule. There is no type promotion: `cast` says what
// is meant. Operands may be strided; results are contiguous. NaN in, NaN out. Activations (exp, tanh, relu, ...) are in activation.h.

#include <string_view>

#include "autograd/ops/elementwise_op.h"
#include "autograd/tape/op.h"

namespace capstan {

using Add = BinaryOp<kernels::functions::Add>;
using Sub = BinaryOp<kernels::functions::Sub>;
using Mul = BinaryOp<kernels::functions::Mul>;
using Div = BinaryOp<kernels::functions::Div>;
using Maximum = BinaryOp<kernels::functions::Maximum>;
using Minimum = BinaryOp<kernels::functions::Minimum>;
using Affine = UnaryOp<kernels::functions::Affine>;
using Neg = UnaryOp<kernels::functions::Neg>;
using Abs = UnaryOp<kernels::functions::Abs>;
using Square = UnaryOp<kernels::functions::Square>;
using Sqrt = UnaryOp<kernels::functions::Sqrt>;
using Pow = UnaryOp<kernels::functions::Pow>;

struct Where {
  static constexpr std::string_view name = "where";
  struct Args {};
  struct Saved { Tensor mask; };
  static Spec spec(const Args&, const Spec& mask, const Spec& a, const Spec& b);
  static Tensor forward(const Args&, const Tensor& mask, const Tensor& a, const Tensor& b, Saved& saved);
  static Grads<3> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

struct MaskedFill {
  static constexpr std::string_view name = "masked_fill";
  struct Args { double value = 0; };
  struct Saved { Tensor mask; };
  static Spec spec(const Args& args, const Spec& x, const Spec& mask);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& mask, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

/// Between floating types.
struct Cast {
  static constexpr std::string_view name = "cast";
  struct Args { DType dtype = DType::f32; };
  struct Saved { DType dtype; };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

/// Where an integer type takes part.
struct Convert {
  static constexpr std::string_view name = "convert";
  static constexpr bool differentiable = false;
  struct Args { DType dtype = DType::i64; };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x);
};

inline Tensor add(const Tensor& a, const Tensor& b) { return apply<Add>({}, a, b); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return apply<Sub>({}, a, b); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return apply<Mul>({}, a, b); }
inline Tensor div(const Tensor& a, const Tensor& b) { return apply<Div>({}, a, b); }
/// The larger (smaller) one; where they are equal, the gradient goes to a.
inline Tensor maximum(const Tensor& a, const Tensor& b) { return apply<Maximum>({}, a, b); }
inline Tensor minimum(const Tensor& a, const Tensor& b) { return apply<Minimum>({}, a, b); }
/// scale x + shift
inline Tensor affine(const Tensor& x, double scale, double shift = 0.0) { return apply<Affine>({.scale = scale, .shift = shift}, x); }
inline Tensor neg(const Tensor& x) { return apply<Neg>({}, x); }
/// |x|; gradient 0 at 0.
inline Tensor abs(const Tensor& x) { return apply<Abs>({}, x); }
inline Tensor square(const Tensor& x) { return apply<Square>({}, x); }
inline Tensor sqrt(const Tensor& x) { return apply<Sqrt>({}, x); }
/// x^exponent; NaN for a negative x and an exponent that is no integer.
inline Tensor pow(const Tensor& x, double exponent) { return apply<Pow>({.exponent = exponent}, x); }
/// a where mask (u8) is not 0, else b; the three broadcast. A value not chosen has gradient 0, whatever it is.
inline Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) { return apply<Where>({}, mask, a, b); }
/// `value` where mask (u8, broadcast to x) is not 0, else x.
inline Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) { return apply<MaskedFill>({.value = value}, x, mask); }
/// x in another element type; x itself if it has it. Differentiable between floating types. Into integers: toward zero; values must fit.
Tensor cast(const Tensor& x, DType dtype);

using ElementwiseOps =
    TypeList<Add, Sub, Mul, Div, Maximum, Minimum, Affine, Neg, Abs, Square, Sqrt, Pow, Where, MaskedFill, Cast, Convert>;

}  // namespace capstan
