#include "autograd/ops/activation.h"

#include <variant>

namespace capstan {
namespace {

kernels::BiasFunction function_of(Activation a) {
  switch (a) {
    case Activation::relu: return kernels::functions::Relu{};
    case Activation::gelu: return kernels::functions::Gelu{};
    case Activation::gelu_tanh: return kernels::functions::GeluTanh{};
    case Activation::tanh: return kernels::functions::Tanh{};
  }
  throw InternalError("bias_activation: unknown activation");
}

}  // namespace

std::string to_text(Activation a) {
  return std::visit([](const auto& f) { return std::string(f.name); }, function_of(a));
}

Spec BiasActivation::spec(const Args&, const Spec& x, const Spec& bias) {
  detail::check_floating(name, x);
  const bool fits = x.shape.rank() >= 1 && bias.shape.rank() == 1 && bias.shape[0] == x.shape[-1] && bias.dtype == x.dtype;
  require(fits, name, ": the bias must have one element of x's type for each element of the last axis of x: x ", x, ", bias ", bias);
  return x;
}

Tensor BiasActivation::forward(const Args& args, const Tensor& x, const Tensor& bias, Saved& saved) {
  const kernels::BiasFunction f = function_of(args.activation);
  const Tensor dense = x.contiguous(), shift = bias.contiguous(), y(x.spec());
  const std::int64_t columns = bias.numel(), rows = columns == 0 ? 0 : x.numel() / columns;
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::bias_activation(f, rows, columns, dense.data<const T>(), shift.data<const T>(), y.data<T>());
  });
  const bool keeps_input = std::visit([](const auto& g) { return g.keeps == kernels::Keeps::input; }, f);
  saved = {keeps_input ? dense : y, shift};
  return y;
}

// y = f(z), z = x + bias: dx = dz = dy f'(z), and dbias is the sum of dz over all axes but the last.
Grads<2> BiasActivation::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2>) {
  const Tensor dense = dy.contiguous(), dx(dy.spec()), dbias(saved.bias.spec());
  const std::int64_t columns = dbias.numel(), rows = columns == 0 ? 0 : dy.numel() / columns;
  dispatch_floating(name, dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::bias_activation_gradient(function_of(args.activation), rows, columns, dense.data<const T>(),
                                                      saved.kept.data<const T>(), saved.bias.data<const T>(), dx.data<T>(),
                                                      dbias.data<T>());
  });
  return {dx, dbias};
}

}  // namespace capstan
