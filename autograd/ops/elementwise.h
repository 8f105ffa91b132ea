#pragma once
// Arithmetic element by element: sums, products, powers, selection and conversion.
//
// Two operands must have the same floating element type; shapes broadcast by NumPy's rule. There is no type promotion: `cast` says what
// is meant. Operands may be strided; results are contiguous. NaN in, NaN out. Activations (exp, tanh, relu, ...) are in activation.h.

#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Where {
  static constexpr std::string_view name = "where";
  struct Args {};
  struct Saved {
    Tensor mask;
  };
  static Spec spec(const Args&, const Spec& mask, const Spec& a, const Spec& b);
  static Tensor forward(const Args&, const Tensor& mask, const Tensor& a, const Tensor& b, const Call<3>& call, Saved& saved);
  static Grads<3> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

struct MaskedFill {
  static constexpr std::string_view name = "masked_fill";
  struct Args {
    double value = 0;
  };
  struct Saved {
    Tensor mask;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& mask);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

/// Between floating types.
struct Cast {
  static constexpr std::string_view name = "cast";
  struct Args {
    DType dtype = DType::f32;
  };
  struct Saved {
    DType dtype;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Gradient& dy, Needs<1> needs);
};

/// Where an integer type takes part.
struct Convert {
  static constexpr std::string_view name = "convert";
  static constexpr bool differentiable = false;
  struct Args {
    DType dtype = DType::i64;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Spec& out);
};

}  // namespace ops

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// The larger (smaller) one; where they are equal, the gradient goes to a.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// scale x + shift
Tensor affine(const Tensor& x, double scale, double shift = 0.0);
Tensor neg(const Tensor& x);
/// |x|; gradient 0 at 0.
Tensor abs(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x)
Tensor rsqrt(const Tensor& x);
/// x^exponent; NaN for a negative x and an exponent that is no integer.
Tensor pow(const Tensor& x, double exponent);
/// a where mask (u8) is not 0, else b; the three broadcast. A value not chosen has gradient 0, whatever it is.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
/// `value` where mask (u8, broadcast to x) is not 0, else x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
/// x in another element type; x itself if it has it. Differentiable between floating types. Into integers: toward zero; values must fit.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace capstan
