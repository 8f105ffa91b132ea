#include "nn/transformer_layer.h"

namespace capstan::nn {

AttentionOptions attention_options(const TransformerLayerOptions& o) {
  return {.width = o.width,
          .heads = o.heads,
          .bias = o.bias,
          .dropout = o.attention_dropout,
          .relative = o.relative,
          .max_length = o.max_length,
          .init = o.init};
}

FeedForwardOptions feed_forward_options(const TransformerLayerOptions& o) {
  return {.width = o.width,
          .inner = o.inner,
          .activation = o.activation,
          .dropout = o.activation_dropout,
          .bias = o.bias,
          .init = o.feed_forward_init.value_or(o.init),
          .bias_init = o.feed_forward_bias_init};
}

ResidualOptions residual_options(const TransformerLayerOptions& o) {
  return {.width = o.width,
          .pre_norm = o.pre_norm,
          .dropout = o.dropout,
          .stochastic_depth = o.stochastic_depth,
          .epsilon = o.epsilon,
          .bias = o.bias};
}

EncoderLayer::EncoderLayer(const Scope& scope, const TransformerLayerOptions& o)
    : attention_(scope, "attention", attention_options(o), residual_options(o)),
      feed_forward_(scope, "feed_forward", feed_forward_options(o), residual_options(o)) {}

Tensor EncoderLayer::operator()(const Tensor& x, const AttentionMask& mask, const Run& run) const {
  return step(residual().begin(x), {}, mask, nullptr, run).input;
}

Residual::State EncoderLayer::step(const Residual::State& x, const Tensor& keys, const AttentionMask& mask, const LayerNorm* next,
                                   const Run& run, AttentionWeights* weights) const {
  const Residual::State middle =
      attention_(x, keys.defined() ? keys : x.input, mask, &feed_forward_.residual().norm(), run, weights);  // [B, T, C]
  return feed_forward_(middle, next, run);
}

}  // namespace capstan::nn
