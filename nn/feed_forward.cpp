#include "nn/feed_forward.h"

#include "nn/cast.h"

namespace capstan::nn {

FeedForward::FeedForward(const Scope& scope, const FeedForwardOptions& o)
    : inner_(scope / "inner", {.in = o.width, .out = o.inner, .init = o.init, .bias_init = o.bias_init}),
      outer_(scope / "outer", {.in = o.inner, .out = o.width, .init = o.init, .bias_init = o.bias_init}),
      activation_(o.activation),
      dropout_(scope / "dropout", o.dropout) {}

Tensor FeedForward::hidden(const Tensor& x, const Run& run) const {
  const Tensor y = bias_activation(inner_.without_bias(x), cast_like(inner_.bias(), x), activation_);  // [..., inner]
  return dropout_(y, run);
}

Tensor FeedForward::operator()(const Tensor& x, const Run& run) const { return outer_(hidden(x, run)); }

Tensor FeedForward::without_bias(const Tensor& x, const Run& run) const { return outer_.without_bias(hidden(x, run)); }

}  // namespace capstan::nn
