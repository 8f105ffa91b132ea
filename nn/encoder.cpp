#include "nn/encoder.h"

#include "autograd/ops/elementwise.h"
#include "nn/cast.h"

namespace capstan::nn {

Encoder::Layer::Layer(const Scope& scope, const EncoderOptions& o, std::int64_t index)
    : attention(scope / "attention", {.width = o.width, .heads = o.heads, .dropout = o.attention_dropout, .init = o.init}),
      attention_norm(scope / "attention_norm", {.width = o.width, .epsilon = o.epsilon}),
      feed_forward(scope / "feed_forward", {.width = o.width,
                                            .inner = o.inner,
                                            .activation = o.activation,
                                            .dropout = o.dropout,
                                            .init = o.feed_forward_init,
                                            .bias_init = o.feed_forward_bias_init}),
      feed_forward_norm(scope / "feed_forward_norm", {.width = o.width, .epsilon = o.epsilon}),
      attention_result_dropout(scope / "attention_result_dropout", o.dropout),
      feed_forward_result_dropout(scope / "feed_forward_result_dropout", o.dropout),
      attention_depth(scope / "attention_depth", stochastic_depth_rate(index, o.layers, o.stochastic_depth)),
      feed_forward_depth(scope / "feed_forward_depth", stochastic_depth_rate(index, o.layers, o.stochastic_depth)) {}

std::vector<Encoder::Layer> Encoder::make_layers(const Scope& scope, const EncoderOptions& options) {
  std::vector<Layer> layers;
  for (std::int64_t i = 0; i < options.layers; ++i) layers.emplace_back(scope / i, options, i);
  return layers;
}

Encoder::Encoder(const Scope& scope, const EncoderOptions& options)
    : layers_(make_layers(scope, options)), norm_(scope / "norm", {.width = options.width, .epsilon = options.epsilon}) {}

LayerNorm::Sum Encoder::step(const Layer& layer, const LayerNorm& next, const LayerNorm::Sum& x, const Run& run,
                             std::vector<Tensor>* weights) const {
  // What a branch ends in: without its bias where the sum can add it.
  struct Branch {
    Tensor result, bias;
  };
  const auto thin_out = [&](const StochasticDepth& depth, const Branch& b) {
    if (!depth.active_in(run)) return b;
    return Branch{depth(b.bias.defined() ? add(b.result, cast_like(b.bias, b.result)) : b.result, run), {}};
  };
  const Tensor& n = x.normalized;
  Branch attended{{}, layer.attention.bias()};
  if (weights != nullptr) {
    const MultiHeadAttention::WithWeights both = layer.attention.with_weights(n, n, n, {}, run, false);
    weights->push_back(both.weights);
    attended = {both.output, {}};
  } else {
    attended.result = layer.attention.without_bias(n, n, n, {}, run);  // [B, T, C]
  }
  attended = thin_out(layer.attention_depth, attended);
  const LayerNorm::Sum middle =
      layer.feed_forward_norm.after_residual_with_sum(attended.result, attended.bias, x.sum, layer.attention_result_dropout, run);
  const Branch fed =
      thin_out(layer.feed_forward_depth, {layer.feed_forward.without_bias(middle.normalized, run), layer.feed_forward.bias()});
  return next.after_residual_with_sum(fed.result, fed.bias, middle.sum, layer.feed_forward_result_dropout, run);
}

Tensor Encoder::pass(const Tensor& x, const Run& run, std::vector<Tensor>* weights) const {
  if (layers_.empty()) return norm_(x);
  LayerNorm::Sum state{layers_.front().attention_norm(x), x};
  for (std::size_t i = 0; i < layers_.size(); ++i)
    state = step(layers_[i], i + 1 < layers_.size() ? layers_[i + 1].attention_norm : norm_, state, run, weights);
  return state.normalized;
}

Encoder::WithWeights Encoder::with_weights(const Tensor& x, const Run& run) const {
  WithWeights result;
  result.output = pass(x, run, &result.weights);
  return result;
}

}  // namespace capstan::nn
