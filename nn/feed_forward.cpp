#include "nn/feed_forward.h"

#include "nn/weight.h"

namespace capstan::nn {
namespace {

Tensor activated(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::relu: return relu(x);
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::tanh: return tanh(x);
  }
  throw InternalError("feed_forward: unknown activation");
}

}  // namespace

FeedForward::FeedForward(const Scope& scope, const FeedForwardOptions& o)
    : inner_(scope / "inner", {.in = o.width, .out = o.inner, .bias = o.bias, .init = o.init, .bias_init = o.bias_init}),
      outer_(scope / "outer",
             {.in = o.inner, .out = o.width, .bias = o.bias, .init = o.outer_init.value_or(o.init), .bias_init = o.bias_init}),
      activation_(o.activation),
      gate_kind_(o.gate.value_or(Gate::swiglu)),
      dropout_(scope / "dropout", o.dropout) {
  if (o.gate)
    gate_.emplace(scope / "gate", LinearOptions{.in = o.width, .out = o.inner, .bias = o.bias, .init = o.init, .bias_init = o.bias_init});
}

Tensor FeedForward::hidden(const Tensor& x, const Run& run) const {
  if (gate_) return dropout_(gated((*gate_)(x), inner_(x), gate_kind_), run);
  const Tensor y = inner_.without_bias(x);  // [..., inner]
  return dropout_(inner_.bias().defined() ? bias_activation(y, weight_for(inner_.bias(), y), activation_) : activated(y, activation_), run);
}

Tensor FeedForward::operator()(const Tensor& x, const Run& run) const { return outer_(hidden(x, run)); }

Tensor FeedForward::without_bias(const Tensor& x, const Run& run) const { return outer_.without_bias(hidden(x, run)); }

}  // namespace capstan::nn
