#include "autograd/ops/activation.h"

#include <type_traits>
#include <variant>

#include "autograd/ops/activation_function.h"
#include "autograd/ops/elementwise_op.h"

namespace capstan {

kernels::BiasFunction function_of(Activation a) {
  switch (a) {
    case Activation::relu: return kernels::functions::Relu{};
    case Activation::gelu: return kernels::functions::Gelu{};
    case Activation::gelu_tanh: return kernels::functions::GeluTanh{};
    case Activation::tanh: return kernels::functions::Tanh{};
  }
  throw InternalError("activation: unknown activation");
}

kernels::GateFunction function_of(Gate g) {
  switch (g) {
    case Gate::swiglu: return kernels::functions::Swiglu{};
    case Gate::geglu: return kernels::functions::Geglu{};
  }
  throw InternalError("activation: unknown gate");
}

std::string to_text(Activation a) {
  return std::visit([](const auto& f) { return std::string(f.name); }, function_of(a));
}

namespace ops {

Spec BiasActivation::spec(const Args&, const Spec& x, const Spec& bias) {
  check_floating(name, "x", x);
  const bool fits = x.shape.rank() >= 1 && bias.present && bias.shape.rank() == 1 && bias.shape[0] == x.shape[-1] && bias.dtype == x.dtype;
  require(fits, name, ": the bias must have one element of x's type for each element of the last axis of x: x ", x, ", bias ", bias);
  return x;
}

Tensor BiasActivation::forward(const Args& args, const Tensor& x, const Tensor& bias, const Call<2>& call, Saved& saved) {
  const kernels::BiasFunction f = function_of(args.activation);
  const Tensor from = dense(x), shift = dense(bias), y(call.out);
  const std::int64_t columns = bias.numel(), rows = columns == 0 ? 0 : x.numel() / columns;
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::bias_activation(f, rows, columns, from.data<const T>(), shift.data<const T>(), y.data<T>());
  });
  const bool keeps_input = std::visit([](const auto& g) { return g.keeps == kernels::Keeps::input; }, f);
  if (call.records()) saved = {keeps_input ? from : y, shift};
  return y;
}

// y = f(z), z = x + bias: dx = dz = dy f'(z), and dbias is the sum of dz over all axes but the last.
Grads<2> BiasActivation::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2>) {
  const Tensor g = dense(dy), dx(dy.spec()), dbias(saved.bias.shape(), compute_type(dy.dtype()));
  const std::int64_t columns = dbias.numel(), rows = columns == 0 ? 0 : dy.numel() / columns;
  dispatch_floating(name, dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::bias_activation_gradient(function_of(args.activation), rows, columns, g.data<const T>(),
                                                      saved.kept.data<const T>(), saved.bias.data<const T>(), dx.data<T>(),
                                                      dbias.data<kernels::Compute<T>>());
  });
  return {dx, dbias};
}

}  // namespace ops

Tensor relu(const Tensor& x) { return apply<ops::Relu>({}, x); }
Tensor leaky_relu(const Tensor& x, double negative_slope) { return apply<ops::LeakyRelu>({.negative_slope = negative_slope}, x); }
Tensor elu(const Tensor& x, double alpha) { return apply<ops::Elu>({.alpha = alpha}, x); }
Tensor gelu(const Tensor& x) { return apply<ops::Gelu>({}, x); }
Tensor gelu_tanh(const Tensor& x) { return apply<ops::GeluTanh>({}, x); }
Tensor tanh(const Tensor& x) { return apply<ops::Tanh>({}, x); }
Tensor sigmoid(const Tensor& x) { return apply<ops::Sigmoid>({}, x); }
Tensor softplus(const Tensor& x) { return apply<ops::Softplus>({}, x); }
Tensor exp(const Tensor& x) { return apply<ops::Exp>({}, x); }
Tensor log(const Tensor& x) { return apply<ops::Log>({}, x); }
Tensor silu(const Tensor& x) { return apply<ops::Silu>({}, x); }
Tensor gated(const Tensor& a, const Tensor& x, Gate gate) {
  return std::visit([&](const auto& f) { return apply<ops::BinaryOp<std::decay_t<decltype(f)>>>({}, a, x); }, function_of(gate));
}
Tensor bias_activation(const Tensor& x, const Tensor& bias, Activation activation) {
  return apply<ops::BiasActivation>({.activation = activation}, x, bias);
}

}  // namespace capstan
