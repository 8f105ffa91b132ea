#pragma once
// Activation functions, and the one that matters for speed: bias + activation in one pass. Formulas in kernels/functions.h.
//
// x is floating and may be strided; results are contiguous. NaN in, NaN out.

#include <string_view>

#include "autograd/ops/elementwise_op.h"
#include "autograd/tape/op.h"

namespace capstan {

using Relu = UnaryOp<kernels::functions::Relu>;
using LeakyRelu = UnaryOp<kernels::functions::LeakyRelu>;
using Elu = UnaryOp<kernels::functions::Elu>;
using Gelu = UnaryOp<kernels::functions::Gelu>;
using GeluTanh = UnaryOp<kernels::functions::GeluTanh>;
using Tanh = UnaryOp<kernels::functions::Tanh>;
using Sigmoid = UnaryOp<kernels::functions::Sigmoid>;
using Softplus = UnaryOp<kernels::functions::Softplus>;
using Exp = UnaryOp<kernels::functions::Exp>;
using Log = UnaryOp<kernels::functions::Log>;
using Silu = UnaryOp<kernels::functions::Silu>;

/// The activations that are fused with a bias.
enum class Activation { relu, gelu, gelu_tanh, tanh };
std::string to_text(Activation a);

struct BiasActivation {
  static constexpr std::string_view name = "bias_activation";
  struct Args { Activation activation = Activation::relu; };
  struct Saved { Tensor kept, bias; };  ///< kept: x (then with bias) or y, what the function's slope reads
  static Spec spec(const Args& args, const Spec& x, const Spec& bias);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& bias, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

/// max(x, 0); gradient 0 at 0.
inline Tensor relu(const Tensor& x) { return apply<Relu>({}, x); }
inline Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01) { return apply<LeakyRelu>({.negative_slope = negative_slope}, x); }
/// x above 0, else alpha (e^x - 1).
inline Tensor elu(const Tensor& x, double alpha = 1.0) { return apply<Elu>({.alpha = alpha}, x); }
/// x P(x), P the distribution function of the standard normal: the erf form.
inline Tensor gelu(const Tensor& x) { return apply<Gelu>({}, x); }
/// The approximation of GELU by tanh, as in the BERT and GPT-2 code.
inline Tensor gelu_tanh(const Tensor& x) { return apply<GeluTanh>({}, x); }
inline Tensor tanh(const Tensor& x) { return apply<Tanh>({}, x); }
inline Tensor sigmoid(const Tensor& x) { return apply<Sigmoid>({}, x); }
/// log(1 + e^x), without overflow.
inline Tensor softplus(const Tensor& x) { return apply<Softplus>({}, x); }
inline Tensor exp(const Tensor& x) { return apply<Exp>({}, x); }
/// The natural logarithm.
inline Tensor log(const Tensor& x) { return apply<Log>({}, x); }
/// x sigmoid(x), also called swish.
inline Tensor silu(const Tensor& x) { return apply<Silu>({}, x); }
/// The activation of x + bias; x [..., C], bias [C].
inline Tensor bias_activation(const Tensor& x, const Tensor& bias, Activation activation) {
  return apply<BiasActivation>({.activation = activation}, x, bias);
}

using ActivationOps = TypeList<Relu, LeakyRelu, Elu, Gelu, GeluTanh, Tanh, Sigmoid, Softplus, Exp, Log, Silu, BiasActivation>;

}  // namespace capstan
