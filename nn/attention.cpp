#include "nn/attention.h"

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

const AttentionOptions& checked(const Scope& scope, const AttentionOptions& o) {
  require<ConfigError>(o.heads > 0 && o.width % o.heads == 0, scope.path(), ": the heads must divide the width: width ", o.width,
                       ", heads ", o.heads);
  require<ConfigError>(o.relative == RelativePositions::none || o.max_length > 0, scope.path(),
                       ": relative positions need the longest length: max_length ", o.max_length);
  return o;
}

/// The numbers of the tokens for dropout, if the run has one for each: [B, T] or [N]. They name queries and keys alike.
Tensor token_ids_for(const Tensor& query, const Tensor& key, const Run& run) {
  const Shape tokens = query.shape().without(-1);
  const bool fits = run.token_ids.defined() && run.token_ids.numel() == tokens.numel() && key.shape().without(-1) == tokens;
  if (!fits) return {};
  const Tensor ids = run.token_ids.contiguous();
  return ids.view(*ids.layout().reshape(tokens));
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const Scope& scope, const AttentionOptions& o)
    : heads_(checked(scope, o).heads),
      head_width_(o.width / o.heads),
      query_(scope / "query", {.in = o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      key_(scope / "key", {.in = o.key_width > 0 ? o.key_width : o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      value_(scope / "value", {.in = o.value_width > 0 ? o.value_width : o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      output_(scope / "output", {.in = o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      dropout_(scope / "dropout", o.dropout),
      relative_(o.relative) {
  if (relative_ != RelativePositions::none)
    distances_ = scope.parameter("distance_embedding", {2 * o.max_length - 1, head_width_}, o.init);
}

Tensor MultiHeadAttention::split_heads(const Tensor& x) const {
  const Shape tokens = x.shape().without(-1);
  return reshape(x, tokens.inserted(tokens.rank(), heads_).inserted(tokens.rank() + 1, head_width_));
}

Tensor MultiHeadAttention::added_scores(const Heads& heads, const AttentionMask& mask) const {
  const bool added = mask.mask.defined() && mask.mask.dtype() != DType::u8;
  const Tensor given = added ? cast(mask.mask, heads.query.dtype()) : mask.mask;
  if (relative_ == RelativePositions::none) return given;
  require(!mask.cu_seqlens.defined() && (added || !mask.mask.defined()),
          "attention: relative positions are for padded batches and masks that are added: query ", heads.query, ", mask ", mask.mask);
  const Tensor scores = relative_position_scores(heads.query, heads.key, weight_for(distances_, heads.query), relative_);  // [B, H, T, T]
  return added ? add(scores, given) : scores;
}

Tensor MultiHeadAttention::attend(const Heads& heads, const AttentionMask& mask, const Tensor& token_ids, const Run& run) const {
  const Tensor context = scaled_dot_product_attention(
      heads.query, heads.key, heads.value, {.causal = mask.causal, .dropout = dropout_.rate_in(run), .key = dropout_.key_in(run)},
      {.mask = added_scores(heads, mask),
       .key_padding = mask.keys,
       .cu_seqlens = mask.cu_seqlens,
       .token_ids = token_ids});    // [B, T, H, D] or [N, H, D]
  return flatten(context, -2, -1);  // [B, T, C] or [N, C]
}

Tensor MultiHeadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                      const Run& run) const {
  return output_(attend(project(query, key, value), mask, token_ids_for(query, key, run), run));
}

Tensor MultiHeadAttention::without_bias(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                        const Run& run) const {
  return output_.without_bias(attend(project(query, key, value), mask, token_ids_for(query, key, run), run));
}

MultiHeadAttention::Heads MultiHeadAttention::project(const Tensor& query, const Tensor& key, const Tensor& value) const {
  return {split_heads(query_(query)), split_heads(key_(key)), split_heads(value_(value))};
}

MultiHeadAttention::WithWeights MultiHeadAttention::with_weights(const Tensor& query, const Tensor& key, const Tensor& value,
                                                                 const AttentionMask& mask, const Run& run, bool average) const {
  require(!mask.cu_seqlens.defined(), "attention: weights are for padded batches: packed query ", query);
  const Heads heads = project(query, key, value);
  const Tensor weights =
      attention_probabilities(heads.query, heads.key, {.causal = mask.causal}, added_scores(heads, mask), mask.keys);  // [B, H, T, S]
  return {output_(attend(heads, mask, token_ids_for(query, key, run), run)), average ? mean(weights, {1}) : weights};
}

}  // namespace capstan::nn
