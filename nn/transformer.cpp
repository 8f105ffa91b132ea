#include "nn/transformer.h"

#include "autograd/ops/elementwise.h"

namespace capstan::nn {

EncoderLayer::EncoderLayer(const Scope& scope, const EncoderLayerOptions& o)
    : attention_(scope / "attention", {.width = o.width,
                                       .heads = o.heads,
                                       .dropout = o.attention_dropout,
                                       .relative = o.relative,
                                       .max_length = o.max_length,
                                       .init = o.init}),
      attention_norm_(scope / "attention_norm", {.width = o.width, .epsilon = o.epsilon}),
      feed_forward_(scope / "feed_forward",
                    {.width = o.width, .inner = o.inner, .activation = o.activation, .dropout = o.activation_dropout, .init = o.init}),
      feed_forward_norm_(scope / "feed_forward_norm", {.width = o.width, .epsilon = o.epsilon}),
      attention_result_dropout_(scope / "attention_result_dropout", o.dropout),
      feed_forward_result_dropout_(scope / "feed_forward_result_dropout", o.dropout),
      pre_norm_(o.pre_norm) {}

Tensor EncoderLayer::operator()(const Tensor& x, const AttentionMask& mask, const Run& run) const {
  if (pre_norm_) {
    const Tensor n = attention_norm_(x);                           // [B, T, C]
    const Tensor a = attention_.without_bias(n, n, n, mask, run);  // [B, T, C]
    const LayerNorm::Sum middle = feed_forward_norm_.after_residual_with_sum(a, attention_.bias(), x, attention_result_dropout_, run);
    return add(middle.sum, feed_forward_result_dropout_(feed_forward_(middle.normalized, run), run));
  }
  const Tensor a = attention_.without_bias(x, x, x, mask, run);  // [B, T, C]
  const Tensor middle = attention_norm_.after_residual(a, attention_.bias(), x, attention_result_dropout_, run);
  return feed_forward_norm_.after_residual(feed_forward_.without_bias(middle, run), feed_forward_.bias(), middle,
                                           feed_forward_result_dropout_, run);
}

}  // namespace capstan::nn
