#include "nn/encoder.h"

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/checkpoint.h"
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
    : layers_(make_layers(scope, options)),
      norm_(scope / "norm", {.width = options.width, .epsilon = options.epsilon}),
      checkpoint_(options.checkpoint) {}

LayerNorm::Sum Encoder::step(const Layer& layer, const LayerNorm& next, const LayerNorm::Sum& x, const Run& run, Rows rows,
                             const Tensor& key_ids, std::vector<Tensor>* weights) const {
  // What a branch ends in: without its bias where the sum can add it.
  struct Branch {
    Tensor result, bias;
  };
  const auto thin_out = [&](const StochasticDepth& depth, const Branch& b) {
    if (!depth.active_in(run)) return b;
    return Branch{depth(b.bias.defined() ? add(b.result, cast_like(b.bias, b.result)) : b.result, run), {}};
  };
  const auto wanted = [&](const Tensor& t) { return rows == Rows::first ? slice(t, 1, 0, 1) : t; };
  const Tensor &n = x.normalized, query = wanted(n);
  Branch attended{{}, layer.attention.bias()};
  if (weights != nullptr) {
    const MultiHeadAttention::WithWeights both = layer.attention.with_weights(query, n, n, {.key_ids = key_ids}, run, false);
    weights->push_back(both.weights);
    attended = {both.output, {}};
  } else {
    attended.result = layer.attention.without_bias(query, n, n, {.key_ids = key_ids}, run);  // [B, T, C]
  }
  attended = thin_out(layer.attention_depth, attended);
  const LayerNorm::Sum middle =
      layer.feed_forward_norm.after_residual_with_sum(attended.result, attended.bias, wanted(x.sum), layer.attention_result_dropout, run);
  const Branch fed =
      thin_out(layer.feed_forward_depth, {layer.feed_forward.without_bias(middle.normalized, run), layer.feed_forward.bias()});
  return next.after_residual_with_sum(fed.result, fed.bias, middle.sum, layer.feed_forward_result_dropout, run);
}

Tensor Encoder::pass(const Tensor& x, const Run& run, Rows rows, std::vector<Tensor>* weights) const {
  if (layers_.empty()) return norm_(x);
  LayerNorm::Sum state{layers_.front().attention_norm(x), x};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const bool last = i + 1 == layers_.size();
    const Rows wanted = last ? rows : Rows::all;
    const Run run_here = wanted == Rows::first ? run_of_first(x, run) : run;
    const auto layer = [=, this](const LayerNorm::Sum& in) {
      return step(layers_[i], last ? norm_ : layers_[i + 1].attention_norm, in, run_here, wanted, run.token_ids, weights);
    };
    if (checkpoint_ && weights == nullptr) {
      const std::vector<Tensor> out = checkpoint(
          [layer](std::span<const Tensor> in) {
            const LayerNorm::Sum y = layer({in[0], in[1]});
            return std::vector{y.normalized, y.sum};
          },
          {state.normalized, state.sum});
      state = {out[0], out[1]};
    } else {
      state = layer(state);
    }
  }
  return state.normalized;
}

// A decision about a row of the last layer must be the one that would be made among all rows.
Run Encoder::run_of_first(const Tensor& x, const Run& run) {
  const std::int64_t samples = x.size(0), tokens = x.size(1);
  if (!run.token_ids.defined() || run.token_ids.numel() != samples * tokens) return run;
  const Tensor given = run.token_ids.contiguous(), ids(Shape{samples}, DType::i64);
  for (std::int64_t b = 0; b < samples; ++b) ids.data<std::int64_t>()[b] = given.data<const std::int64_t>()[b * tokens];
  Run first = run;
  first.token_ids = ids;
  return first;
}

Tensor Encoder::first_token(const Tensor& x, const Run& run) const {
  return select(pass(x, run, layers_.empty() ? Rows::all : Rows::first, nullptr), 1, 0);
}

Encoder::WithWeights Encoder::with_weights(const Tensor& x, const Run& run) const {
  WithWeights result;
  result.output = pass(x, run, Rows::all, &result.weights);
  return result;
}

}  // namespace capstan::nn
