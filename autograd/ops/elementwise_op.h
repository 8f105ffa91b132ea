#pragma once
// UnaryOp<F>, BinaryOp<F>: an op from a function of kernels/functions.h; and the lists of them. For ops/*.cpp and the tests: users call
// the functions of elementwise.h and activation.h.

#include <string_view>

#include "autograd/kernels/elementwise.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/operands.h"
#include "autograd/tape/op.h"

namespace capstan::ops {

namespace functions = kernels::functions;

Tensor map_unary(const kernels::UnaryFunction& f, const Tensor& x);
/// dy * f.slope(kept)
Tensor map_unary_gradient(const kernels::UnaryFunction& f, const Tensor& dy, const Tensor& kept);
Tensor map_binary(const kernels::BinaryFunction& f, const Tensor& a, const Tensor& b);
/// dy * f.slope_a(a, b) or dy * f.slope_b(a, b)
Tensor map_binary_gradient(const kernels::BinaryFunction& f, kernels::Operand of, const Tensor& dy, const Tensor& a, const Tensor& b);

/// y = f(x), dx = dy f'(x). The function is its own Args: its constants are its members.
template <class F>
struct UnaryOp {
  static constexpr std::string_view name = F::name;
  using Args = F;
  struct Saved {
    Tensor kept;
  };  ///< x, y or nothing: what F::keeps says

  static Spec spec(const Args&, const Spec& x) {
    check_floating(name, "x", x);
    return x;
  }
  static Tensor forward(const Args& f, const Tensor& x, const Call<1>& call, Saved& saved) {
    const Tensor y = map_unary(f, x);
    if (call.records()) {
      if constexpr (F::keeps == kernels::Keeps::input) saved.kept = x;
      if constexpr (F::keeps == kernels::Keeps::output) saved.kept = y;
    }
    return y;
  }
  static Grads<1> backward(const Args& f, const Saved& saved, const Tensor& dy, Needs<1>) {
    return {map_unary_gradient(f, dy, saved.kept)};
  }
};

/// y = f(a, b) on broadcast operands; da = dy df/da, db = dy df/db, summed over the broadcast axes by the tape.
template <class F>
struct BinaryOp {
  static constexpr std::string_view name = F::name;
  static constexpr bool is_sum = std::is_same_v<F, functions::Add> || std::is_same_v<F, functions::Sub>;
  struct Args {};
  struct Saved {
    Tensor a, b;
  };  ///< nothing for a sum

  static Spec spec(const Args&, const Spec& a, const Spec& b) { return broadcast_spec(name, a, b); }
  static Tensor forward(const Args&, const Tensor& a, const Tensor& b, const Call<2>& call, Saved& saved) {
    if (!is_sum && call.records()) saved = {a, b};
    return map_binary(F{}, a, b);
  }
  static Grads<2> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<2> needs) {
    Grads<2> d;
    if constexpr (is_sum) {
      if (needs[0]) d[0] = dy;
      if (needs[1]) d[1] = std::is_same_v<F, functions::Add> ? dy : map_unary(functions::Neg{}, dy);
    } else {
      if (needs[0]) d[0] = map_binary_gradient(F{}, kernels::Operand::a, dy, saved.a, saved.b);
      if (needs[1]) d[1] = map_binary_gradient(F{}, kernels::Operand::b, dy, saved.a, saved.b);
    }
    return d;
  }
};

using Add = BinaryOp<functions::Add>;
using Sub = BinaryOp<functions::Sub>;
using Mul = BinaryOp<functions::Mul>;
using Div = BinaryOp<functions::Div>;
using Maximum = BinaryOp<functions::Maximum>;
using Minimum = BinaryOp<functions::Minimum>;
using Swiglu = BinaryOp<functions::Swiglu>;
using Geglu = BinaryOp<functions::Geglu>;
using Affine = UnaryOp<functions::Affine>;
using Neg = UnaryOp<functions::Neg>;
using Abs = UnaryOp<functions::Abs>;
using Square = UnaryOp<functions::Square>;
using Sqrt = UnaryOp<functions::Sqrt>;
using Rsqrt = UnaryOp<functions::Rsqrt>;
using Pow = UnaryOp<functions::Pow>;
using ElementwiseOps = TypeList<Add, Sub, Mul, Div, Maximum, Minimum, Swiglu, Geglu, Affine, Neg, Abs, Square, Sqrt, Rsqrt, Pow, Where,
                                MaskedFill, Cast, Convert>;

using Relu = UnaryOp<functions::Relu>;
using LeakyRelu = UnaryOp<functions::LeakyRelu>;
using Elu = UnaryOp<functions::Elu>;
using Gelu = UnaryOp<functions::Gelu>;
using GeluTanh = UnaryOp<functions::GeluTanh>;
using Tanh = UnaryOp<functions::Tanh>;
using Sigmoid = UnaryOp<functions::Sigmoid>;
using Softplus = UnaryOp<functions::Softplus>;
using Exp = UnaryOp<functions::Exp>;
using Log = UnaryOp<functions::Log>;
using Silu = UnaryOp<functions::Silu>;
using ActivationOps = TypeList<Relu, LeakyRelu, Elu, Gelu, GeluTanh, Tanh, Sigmoid, Softplus, Exp, Log, Silu, BiasActivation>;

}  // namespace capstan::ops
