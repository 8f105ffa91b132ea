#pragma once
// Activation functions, and the one that matters for speed: bias + activation in one pass. Formulas in kernels/functions.h.
//
// x is floating and may be strided; results are contiguous. NaN in, NaN out.

#include <string>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// The activations that are fused with a bias.
enum class Activation { relu, gelu, gelu_tanh, tanh };
std::string to_text(Activation a);
/// An operand passes through a gate that the other one opens.
enum class Gate {
  swiglu,  ///< silu(a) b
  geglu,   ///< gelu_tanh(a) b
};

namespace ops {

struct BiasActivation {
  static constexpr std::string_view name = "bias_activation";
  struct Args {
    Activation activation = Activation::relu;
  };
  struct Saved {
    Tensor kept, bias;
  };  ///< kept: x (then with bias) or y, what the function's slope reads
  static Spec spec(const Args& args, const Spec& x, const Spec& bias);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& bias, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

}  // namespace ops

/// max(x, 0); gradient 0 at 0.
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
/// x above 0, else alpha (e^x - 1).
Tensor elu(const Tensor& x, double alpha = 1.0);
/// x P(x), P the distribution function of the standard normal: the erf form.
Tensor gelu(const Tensor& x);
/// The approximation of GELU by tanh, as in the BERT and GPT-2 code.
Tensor gelu_tanh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
/// log(1 + e^x), without overflow.
Tensor softplus(const Tensor& x);
Tensor exp(const Tensor& x);
/// The natural logarithm.
Tensor log(const Tensor& x);
/// x sigmoid(x), also called swish.
Tensor silu(const Tensor& x);
/// The formula of the gate; a and x of one shape.
Tensor gated(const Tensor& a, const Tensor& x, Gate gate);
/// The activation of x + bias; x [..., C], bias [C].
Tensor bias_activation(const Tensor& x, const Tensor& bias, Activation activation);

}  // namespace capstan
