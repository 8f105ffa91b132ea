#include "nn/sublayer.h"

#include <utility>

#include "autograd/ops/elementwise.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

Tensor with_bias(const Residual::Branch& b) { return b.bias.defined() ? add(b.result, b.bias) : b.result; }

}  // namespace

Residual::Residual(const Scope& scope, const std::string& name, const TransformerLayerOptions& o)
    : norm_(scope / (name + "_norm"),
            {.width = o.width, .epsilon = o.epsilon, .bias = o.bias && o.norm == NormKind::layer, .kind = o.norm}),
      dropout_(scope / (name + "_result_dropout"), o.dropout),
      depth_(scope / (name + "_depth"), o.stochastic_depth),
      pre_norm_(o.pre_norm) {}

Residual::State Residual::add_branch(Branch branch, const Tensor& residual, const LayerNorm* next, const Run& run) const {
  if (depth_.active_in(run)) branch = {depth_(with_bias(branch), run), {}};
  if (!pre_norm_) return {norm_.after_residual(branch.result, branch.bias, residual, dropout_, run), {}};
  if (next == nullptr) return {add(residual, dropout_(with_bias(branch), run)), {}};
  LayerNorm::Sum both = next->after_residual_with_sum(branch.result, branch.bias, residual, dropout_, run);
  return {std::move(both.normalized), std::move(both.sum)};
}

AttentionSublayer::AttentionSublayer(const Scope& scope, const std::string& name, const TransformerLayerOptions& o)
    : attention_(scope / name, {.width = o.width,
                                .heads = o.heads,
                                .key_value_heads = o.key_value_heads,
                                .head_width = o.head_width,
                                .bias = o.bias,
                                .dropout = o.attention_dropout,
                                .relative = o.relative,
                                .max_length = o.max_length,
                                .rotary_base = o.rotary_base,
                                .init = o.init,
                                .projection_init = o.projection_init}),
      residual_(scope, name, o) {}

Residual::State AttentionSublayer::operator()(const Residual::State& x, const Tensor& keys, const AttentionMask& mask,
                                              const LayerNorm* next, const Run& run, AttentionWeights* weights) const {
  const Tensor& memory = keys.defined() ? keys : x.input;
  if (weights == nullptr) return add_result(attention_.without_bias(x.input, memory, memory, mask, run), x, next, run);  // [B, T, C]
  MultiHeadAttention::WithWeights both = attention_.with_weights(x.input, memory, memory, mask, run, /*average=*/false);
  weights->push_back(std::move(both.weights));
  return residual_.add_branch({std::move(both.output), {}}, x.residual(), next, run);
}

Residual::State AttentionSublayer::decode(const Residual::State& x, KeyValueCache& cache, const AttentionMask& mask, const LayerNorm* next,
                                          const Run& run) const {
  return add_result(attention_.step_without_bias(x.input, cache, mask, run), x, next, run);  // [B, n, C]
}

Residual::State AttentionSublayer::attend(const Residual::State& x, const KeyValueCache& cache, const LayerNorm* next,
                                          const Run& run) const {
  return add_result(attention_.attend_without_bias(x.input, cache, {}, run), x, next, run);  // [B, n, C]
}

Residual::State AttentionSublayer::add_result(Tensor result, const Residual::State& x, const LayerNorm* next, const Run& run) const {
  return residual_.add_branch({std::move(result), weight_for(attention_.bias(), x.input)}, x.residual(), next, run);
}

FeedForwardSublayer::FeedForwardSublayer(const Scope& scope, const std::string& name, const TransformerLayerOptions& o)
    : feed_forward_(scope / name, {.width = o.width,
                                   .inner = o.inner,
                                   .activation = o.activation,
                                   .gate = o.gate,
                                   .dropout = o.activation_dropout,
                                   .bias = o.bias,
                                   .init = o.feed_forward_init.value_or(o.init),
                                   .outer_init = o.feed_forward_outer_init,
                                   .bias_init = o.feed_forward_bias_init}),
      residual_(scope, name, o) {}

Residual::State FeedForwardSublayer::operator()(const Residual::State& x, const LayerNorm* next, const Run& run) const {
  return residual_.add_branch({feed_forward_.without_bias(x.input, run), weight_for(feed_forward_.bias(), x.input)}, x.residual(), next,
                              run);
}

}  // namespace capstan::nn
