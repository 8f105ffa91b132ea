#include "nn/attention.h"

#include <cmath>
#include <utility>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

/// With the widths and heads that 0 stands for filled in.
AttentionOptions completed(const Scope& scope, AttentionOptions o) {
  require<ConfigError>(o.heads > 0 && (o.head_width > 0 || o.width % o.heads == 0), scope.path(),
                       ": the heads must divide the width: width ", o.width, ", heads ", o.heads);
  if (o.head_width == 0) o.head_width = o.width / o.heads;
  if (o.key_value_heads == 0) o.key_value_heads = o.heads;
  require<ConfigError>(o.key_value_heads > 0 && o.heads % o.key_value_heads == 0, scope.path(),
                       ": the heads of keys and values must divide the heads: heads ", o.heads, ", key_value_heads ", o.key_value_heads);
  if (o.key_width == 0) o.key_width = o.width;
  if (o.value_width == 0) o.value_width = o.width;
  require<ConfigError>(o.relative == RelativePositions::none || o.max_length > 0, scope.path(),
                       ": relative positions need the longest length: max_length ", o.max_length);
  require<ConfigError>(o.relative != RelativePositions::key_query || o.key_value_heads == o.heads, scope.path(),
                       ": relative positions of keys need as many key heads as heads: heads ", o.heads, ", key_value_heads ",
                       o.key_value_heads);
  require<ConfigError>(o.relative == RelativePositions::none || (!o.extra_key && !o.zero_key), scope.path(),
                       ": extra keys have no place, which relative positions ask for");
  require<ConfigError>(o.rotary_base == 0 || (o.head_width % 2 == 0 && o.relative == RelativePositions::none), scope.path(),
                       ": rotary positions need an even head width and go without relative positions: head width ", o.head_width);
  return o;
}

constexpr double kExtraKeyId = 0x1p62;  // names the extra keys for dropout

/// Self-attention passes one tensor as query and key.
bool is_same(const Tensor& query, const Tensor& key) {
  return query.storage().data() == key.storage().data() && query.layout().offset() == key.layout().offset() && query.shape() == key.shape();
}

Tensor placed(const Tensor& x, const Tensor& positions) { return positions.defined() ? add(x, positions) : x; }

bool same_positions(const Tensor& a, const Tensor& b) { return a.defined() && b.defined() ? is_same(a, b) : a.defined() == b.defined(); }

/// Numbers for tokens, as [B, T] or [N].
Tensor ids_for(const Tensor& ids, std::string_view what, const Tensor& heads) {
  const Shape tokens = heads.shape().sub(0, heads.rank() - 2);
  require(ids.numel() == tokens.numel(), "attention: dropout needs one number for each ", what, ": ", what, " tokens ", tokens, ", ids ",
          ids);
  const Tensor dense = ids.contiguous();
  return dense.view(*dense.layout().reshape(tokens));
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const Scope& scope, const AttentionOptions& options)
    : MultiHeadAttention(scope, completed(scope, options), Completed{}) {}

MultiHeadAttention::MultiHeadAttention(const Scope& scope, const AttentionOptions& o, Completed)
    : heads_(o.heads),
      key_value_heads_(o.key_value_heads),
      head_width_(o.head_width),
      query_(scope / "query", {.in = o.width, .out = o.heads * o.head_width, .bias = o.bias, .init = o.projection_init.value_or(o.init)}),
      key_(scope / "key",
           {.in = o.key_width, .out = o.key_value_heads * o.head_width, .bias = o.bias, .init = o.projection_init.value_or(o.init)}),
      value_(scope / "value",
             {.in = o.value_width, .out = o.key_value_heads * o.head_width, .bias = o.bias, .init = o.projection_init.value_or(o.init)}),
      output_(scope / "output", {.in = o.heads * o.head_width, .out = o.width, .bias = o.bias, .init = o.init}),
      dropout_(scope / "dropout", o.dropout),
      relative_(o.relative),
      rotary_base_(o.rotary_base),
      zero_key_(o.zero_key) {
  if (relative_ != RelativePositions::none) distances_ = scope.parameter("distance_embedding", {2 * o.max_length - 1, head_width_}, o.init);
  if (o.extra_key) {
    const std::int64_t width = key_value_heads_ * head_width_;
    const Initializer init = normal(1 / std::sqrt(static_cast<double>(width)));
    extra_key_ = scope.parameter("extra_key", {width}, init);
    extra_value_ = scope.parameter("extra_value", {width}, init);
  }
}

Tensor MultiHeadAttention::split_heads(const Tensor& x, std::int64_t heads) const {
  const Shape tokens = x.shape().without(-1);
  return reshape(x, tokens.inserted(tokens.rank(), heads).inserted(tokens.rank() + 1, head_width_));
}

MultiHeadAttention::Heads MultiHeadAttention::project(const Tensor& query, const Tensor& key, const Tensor& value,
                                                      const AttentionMask& mask) const {
  const Tensor placed_query = placed(query, mask.query_positions);
  const bool one = is_same(query, key) && same_positions(mask.query_positions, mask.key_positions);
  const Tensor placed_key = one ? placed_query : placed(key, mask.key_positions);
  return {turned(split_heads(query_(placed_query), heads_), 0), turned(split_heads(key_(placed_key), key_value_heads_), 0),
          split_heads(value_(value), key_value_heads_)};
}

Tensor MultiHeadAttention::turned(const Tensor& heads, std::int64_t first) const {
  if (rotary_base_ == 0) return heads;
  require(heads.rank() == 4, "attention: rotary positions are for padded batches: packed ", heads);
  return rotary(heads, rotary_base_, first);
}

void MultiHeadAttention::add_extra_keys(Heads& heads, AttentionInputs& inputs) const {
  const std::int64_t extra = extra_keys();
  if (extra == 0) return;
  require(heads.key.rank() == 4, "attention: extra keys are for padded batches: keys ", heads.key);
  const std::int64_t keys = heads.key.size(1);
  const auto with_rows = [&](const Tensor& x, const Parameter& row) {
    const Shape one{x.size(0), 1, x.size(2), x.size(3)};
    std::vector<Tensor> parts;
    if (row.defined()) parts.push_back(expand(reshape(weight_for(row, x), one.with(0, 1)), one));
    if (zero_key_) parts.push_back(Tensor::zeros(one, x.dtype()));
    parts.push_back(x);
    return concat(std::span<const Tensor>(parts), 1);  // [B, extra + S, H, D]
  };
  heads.key = with_rows(heads.key, extra_key_);
  heads.value = with_rows(heads.value, extra_value_);
  const auto pad = [&](Tensor& x, double value) {
    if (!x.defined()) return;
    const Tensor wide = x.size(-1) == keys ? x : expand(x, x.shape().with(-1, keys));
    x = concat({Tensor::full(wide.shape().with(-1, extra), value, x.dtype()), wide}, -1);
  };
  pad(inputs.mask, 1);
  pad(inputs.bias, 0);
  pad(inputs.key_padding, 1);
  pad(inputs.key_ids, kExtraKeyId);
}

AttentionInputs MultiHeadAttention::inputs_of(const Heads& heads, bool self, const AttentionMask& mask, const Run& run) const {
  AttentionInputs in{.mask = mask.mask, .bias = mask.bias, .key_padding = mask.keys, .cu_seqlens = mask.cu_seqlens};
  if (in.bias.defined()) in.bias = cast(in.bias, heads.query.dtype());
  if (relative_ != RelativePositions::none) {
    require(!mask.cu_seqlens.defined(), "attention: relative positions are for padded batches: query ", heads.query, ", cu_seqlens ",
            mask.cu_seqlens);
    const Tensor scores = relative_position_scores(heads.query, heads.key, weight_for(distances_, heads.query), relative_);  // [B, H, T, T]
    in.bias = in.bias.defined() ? add(scores, in.bias) : scores;
  }
  if (dropout_.rate_in(run) > 0 && run.token_ids.defined()) {
    require(self || mask.key_ids.defined(),
            "attention: dropout needs key_ids beside token_ids where query and key are not the same tensor: query ", heads.query, ", key ",
            heads.key);
    in.query_ids = ids_for(run.token_ids, "query", heads.query);
    in.key_ids = mask.key_ids.defined() ? ids_for(mask.key_ids, "key", heads.key) : in.query_ids;
  }
  return in;
}

Tensor MultiHeadAttention::context_of(const Heads& heads, const AttentionInputs& inputs, bool causal, std::int64_t query_offset,
                                      const Run& run) const {
  const Tensor context = scaled_dot_product_attention(
      heads.query, heads.key, heads.value,
      {.causal = causal, .query_offset = query_offset, .dropout = dropout_.rate_in(run), .key = dropout_.key_in(run)},
      inputs);                      // [B, T, H, D] or [N, H, D]
  return flatten(context, -2, -1);  // [B, T, H * D] or [N, H * D]
}

Tensor MultiHeadAttention::context_of(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                      const Run& run) const {
  Heads heads = project(query, key, value, mask);
  AttentionInputs inputs = inputs_of(heads, is_same(query, key), mask, run);
  add_extra_keys(heads, inputs);
  return context_of(heads, inputs, mask.causal, mask.causal ? extra_keys() : 0, run);
}

Tensor MultiHeadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                      const Run& run) const {
  return output_(context_of(query, key, value, mask, run));
}

Tensor MultiHeadAttention::without_bias(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                        const Run& run) const {
  return output_.without_bias(context_of(query, key, value, mask, run));
}

MultiHeadAttention::WithWeights MultiHeadAttention::with_weights(const Tensor& query, const Tensor& key, const Tensor& value,
                                                                 const AttentionMask& mask, const Run& run, bool average) const {
  require(!mask.cu_seqlens.defined(), "attention: weights are for padded batches: packed query ", query);
  Heads heads = project(query, key, value, mask);
  AttentionInputs inputs = inputs_of(heads, is_same(query, key), mask, run);
  add_extra_keys(heads, inputs);
  const std::int64_t extra = extra_keys(), offset = mask.causal ? extra : 0;
  Tensor weights =
      attention_probabilities(heads.query, heads.key, {.causal = mask.causal, .query_offset = offset}, inputs);  // [B, H, T, S]
  if (extra > 0) weights = concat({slice(weights, -1, extra, weights.size(-1) - extra), slice(weights, -1, 0, extra)}, -1);
  return {output_(context_of(heads, inputs, mask.causal, offset, run)), average ? mean(weights, {1}) : weights};
}

Tensor MultiHeadAttention::step(const Tensor& x, KeyValueCache& cache, const AttentionMask& mask, const Run& run) const {
  return attend(x, cache, extended(x, cache, mask), run);
}

Tensor MultiHeadAttention::step_without_bias(const Tensor& x, KeyValueCache& cache, const AttentionMask& mask, const Run& run) const {
  return attend_without_bias(x, cache, extended(x, cache, mask), run);
}

AttentionMask MultiHeadAttention::extended(const Tensor& x, KeyValueCache& cache, AttentionMask mask) const {
  extend(cache, x, x, mask.keys);
  mask.keys = cache.real();
  mask.causal = true;
  return mask;
}

void MultiHeadAttention::extend(KeyValueCache& cache, const Tensor& key, const Tensor& value, const Tensor& real) const {
  require<ConfigError>(extra_keys() == 0, "attention: extra keys do not go together with a cache");
  cache.append(turned(split_heads(key_(key), key_value_heads_), cache.length()), split_heads(value_(value), key_value_heads_), real);
}

Tensor MultiHeadAttention::attend(const Tensor& query, const KeyValueCache& cache, const AttentionMask& mask, const Run& run) const {
  return output_(context_of(query, cache, mask, run));
}

Tensor MultiHeadAttention::attend_without_bias(const Tensor& query, const KeyValueCache& cache, const AttentionMask& mask,
                                               const Run& run) const {
  return output_.without_bias(context_of(query, cache, mask, run));
}

Tensor MultiHeadAttention::context_of(const Tensor& query, const KeyValueCache& cache, AttentionMask mask, const Run& run) const {
  require(!mask.query_positions.defined() && !mask.key_positions.defined(),
          "attention: positions of queries and keys do not go with a cache: query ", query);
  const bool last = mask.causal || relative_ != RelativePositions::none || rotary_base_ != 0;
  const std::int64_t before = cache.length() - query.size(1);
  require(!last || before >= 0, "attention: causal queries are the last tokens of the cache: query ", query, ", tokens in the cache ",
          cache.length());
  if (!mask.keys.defined()) mask.keys = cache.real();
  const Heads heads{turned(split_heads(query_(query), heads_), before), cache.keys(), cache.values()};
  return context_of(heads, inputs_of(heads, false, mask, run), mask.causal, mask.causal ? before : 0, run);
}

}  // namespace capstan::nn
