#include "nn/attention.h"

#include <cmath>
#include <limits>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"

namespace capstan::nn {
namespace {

/// u8 [B or 1, 1, T, S]: `value` where padding or causality forbids, else 1 - value.
Tensor forbidden(const AttentionMask& mask, std::int64_t queries, std::int64_t keys, std::uint8_t value) {
  const std::int64_t batch = mask.keys.defined() ? mask.keys.size(0) : 1;
  const Tensor out({batch, 1, queries, keys}, DType::u8);
  const Tensor real = mask.keys.defined() ? mask.keys.contiguous() : Tensor();
  std::uint8_t* to = out.data<std::uint8_t>();
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t t = 0; t < queries; ++t)
      for (std::int64_t s = 0; s < keys; ++s) {
        const bool padding = real.defined() && real.data<std::uint8_t>()[b * keys + s] == 0;
        *to++ = padding || (mask.causal && s > t) ? value : static_cast<std::uint8_t>(1 - value);
      }
  return out;
}

/// The three parts of a mask as the one that softmax takes.
Tensor combined(const AttentionMask& mask, std::int64_t queries, std::int64_t keys) {
  if (!mask.keys.defined() && !mask.causal) return mask.mask;
  if (!mask.mask.defined()) return forbidden(mask, queries, keys, 0);
  const Tensor no = forbidden(mask, queries, keys, 1);
  const Shape shape = broadcast("attention", mask.mask.shape(), no.shape());
  if (mask.mask.dtype() != DType::u8) return masked_fill(expand(mask.mask, shape), no, -std::numeric_limits<double>::infinity());
  const Tensor both = mask.mask.view(mask.mask.layout().expand(shape)).clone(), no_everywhere = no.view(no.layout().expand(shape)).contiguous();
  const std::span<std::uint8_t> allowed = both.span<std::uint8_t>();
  for (std::size_t i = 0; i < allowed.size(); ++i)
    if (no_everywhere.data<std::uint8_t>()[i] != 0) allowed[i] = 0;
  return both;
}

void check(const Scope& scope, const AttentionOptions& o) {
  require<ConfigError>(o.heads > 0 && o.width % o.heads == 0, scope.path(), ": the heads must divide the width: width ", o.width, ", heads ",
                       o.heads);
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const Scope& scope, const AttentionOptions& o)
    : query_((check(scope, o), scope / "query"), {.in = o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      key_(scope / "key", {.in = o.key_width > 0 ? o.key_width : o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      value_(scope / "value", {.in = o.value_width > 0 ? o.value_width : o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      output_(scope / "output", {.in = o.width, .out = o.width, .bias = o.bias, .init = o.init}),
      heads_(o.heads),
      head_width_(o.width / o.heads),
      dropout_(scope / "dropout", o.dropout) {}

Tensor MultiHeadAttention::split_heads(const Tensor& x) const {
  return permute(reshape(x, {x.size(0), x.size(1), heads_, head_width_}), {0, 2, 1, 3});
}

MultiHeadAttention::WithWeights MultiHeadAttention::attend(const Tensor& query, const Tensor& key, const Tensor& value,
                                                           const AttentionMask& mask, const Run& run) const {
  const Tensor q = split_heads(query_(query)), k = split_heads(key_(key)), v = split_heads(value_(value));  // [B, H, T or S, D]
  const Tensor scores = matmul(q, transpose(k, -1, -2), 1 / std::sqrt(static_cast<double>(head_width_)));   // [B, H, T, S]
  const Tensor weights = softmax(scores, -1, combined(mask, scores.size(2), scores.size(3)));               // [B, H, T, S]
  const Tensor context = permute(matmul(dropout_(weights, run), v), {0, 2, 1, 3});                          // [B, T, H, D]
  return {flatten(context, 2, 3), weights};                                                                 // [B, T, C]
}

Tensor MultiHeadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                      const Run& run) const {
  return output_(attend(query, key, value, mask, run).output);
}

Tensor MultiHeadAttention::without_bias(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                                        const Run& run) const {
  return output_.without_bias(attend(query, key, value, mask, run).output);
}

MultiHeadAttention::WithWeights MultiHeadAttention::with_weights(const Tensor& query, const Tensor& key, const Tensor& value,
                                                                 const AttentionMask& mask, const Run& run, bool average) const {
  const auto [context, weights] = attend(query, key, value, mask, run);
  const Tensor output = output_(context);
  if (!average) return {output, weights};
  Tensor sum = select(weights, 1, 0);
  for (std::int64_t h = 1; h < heads_; ++h) sum = add(sum, select(weights, 1, h));
  return {output, affine(sum, 1 / static_cast<double>(heads_))};
}

}  // namespace capstan::nn
