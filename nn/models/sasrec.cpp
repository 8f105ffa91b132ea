#include "nn/models/sasrec.h"

#include <cmath>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

LayerNormOptions norm(const SasrecOptions& o) { return {.width = o.hidden_size, .epsilon = 1e-8}; }
LinearOptions square(const SasrecOptions& o) { return {.in = o.hidden_size, .out = o.hidden_size}; }

}  // namespace

Sasrec::Block::Block(const Scope& scope, const SasrecOptions& o)
    : attention_norm(scope / "attention_norm", norm(o)),
      query(scope / "query", square(o)),
      key(scope / "key", square(o)),
      value(scope / "value", square(o)),
      output(o.output_projection ? std::optional<Linear>(Linear(scope / "output", square(o))) : std::nullopt),
      attention_dropout(scope / "attention_dropout", o.dropout),
      forward_norm(scope / "forward_norm", norm(o)),
      inner(scope / "inner", square(o)),
      inner_dropout(scope / "inner_dropout", o.dropout),
      outer(scope / "outer", square(o)),
      outer_dropout(scope / "outer_dropout", o.dropout) {}

Sasrec::Sasrec(const Scope& scope, std::int64_t item_count, const SasrecOptions& options, DType precision)
    : options_(options),
      precision_(precision),
      items_((scope / "item_embedding")
                 .at_depth(0)
                 .parameter("weight", {item_count + 1, options.hidden_size}, with_zero_row(glorot_uniform()))),
      positions_(
          (scope / "position_embedding").at_depth(0).parameter("weight", {options.max_length, options.hidden_size}, glorot_uniform())),
      embedding_dropout_(scope / "embedding_dropout", options.dropout),
      blocks_(make_blocks(scope / "blocks", options)),
      last_norm_(scope / "last_norm", norm(options)) {}

std::vector<Sasrec::Block> Sasrec::make_blocks(const Scope& scope, const SasrecOptions& options) {
  require<ConfigError>(options.hidden_size % options.heads == 0, "sasrec: model.hidden_size must be a multiple of model.heads, got ",
                       options.hidden_size, " and ", options.heads);
  std::vector<Block> blocks;
  for (std::int64_t i = 0; i < options.blocks; ++i) blocks.emplace_back((scope / i).at_depth(i + 1), options);
  return blocks;
}

Tensor Sasrec::hidden(const Tensor& ids, const TokenLayout& layout, const Run& run) const {
  const Tensor items = embedding(items_.value(), ids, {.padding_index = 0, .scale = std::sqrt(static_cast<double>(options_.hidden_size))});
  Tensor x = embedding_dropout_(add(items, embedding(positions_.value(), layout.positions)), run);  // [tokens, d]
  if (precision_ == DType::bf16) x = cast(x, DType::bf16);
  if (blocks_.empty()) return last_norm_(x);
  switch (options_.norm) {
    case SasrecNorm::post: return post_norm(std::move(x), layout, run);
    case SasrecNorm::pre: return pre_norm(std::move(x), layout, run);
    case SasrecNorm::query: break;
  }
  return query_norm(std::move(x), layout, run);
}

// A normalisation is taken in the same pass as the residual sum that feeds it. Nothing is dropped behind attention.

Tensor Sasrec::query_norm(Tensor x, const TokenLayout& layout, const Run& run) const {
  Tensor q = blocks_.front().attention_norm(x);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    const Tensor a = attend(b, q, x, layout, run);                                         // [tokens, d]
    const Tensor y = b.forward_norm.after_residual(a, {}, q, b.attention_dropout, Run{});  // LN2(a + q)
    const auto sum = norm_after(i).after_residual_with_sum(b.outer.without_bias(inner(b, y, run)), weight_for(b.outer.bias(), y), y,
                                                           b.outer_dropout, run);
    x = sum.sum;
    q = sum.normalized;
  }
  return q;
}

Tensor Sasrec::post_norm(Tensor x, const TokenLayout& layout, const Run& run) const {
  for (const Block& b : blocks_) {
    const Tensor y = b.attention_norm.after_residual(attend(b, x, x, layout, run), {}, x, b.attention_dropout, Run{});
    x = b.forward_norm.after_residual(b.outer.without_bias(inner(b, y, run)), weight_for(b.outer.bias(), y), y, b.outer_dropout, run);
  }
  return last_norm_(x);
}

Tensor Sasrec::pre_norm(Tensor x, const TokenLayout& layout, const Run& run) const {
  Tensor q = blocks_.front().attention_norm(x);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    const auto y = b.forward_norm.after_residual_with_sum(attend(b, q, q, layout, run), {}, x, b.attention_dropout, Run{});
    const auto sum = norm_after(i).after_residual_with_sum(b.outer.without_bias(inner(b, y.normalized, run)),
                                                           weight_for(b.outer.bias(), y.sum), y.sum, b.outer_dropout, run);
    x = sum.sum;
    q = sum.normalized;
  }
  return q;
}

Tensor Sasrec::inner(const Block& block, const Tensor& y, const Run& run) const {
  return block.inner_dropout(bias_activation(block.inner.without_bias(y), weight_for(block.inner.bias(), y), Activation::relu), run);
}

Tensor Sasrec::attend(const Block& block, const Tensor& q, const Tensor& x, const TokenLayout& layout, const Run& run) const {
  const std::int64_t heads = options_.heads, width = options_.hidden_size / heads, tokens = layout.tokens();
  const Shape shape = layout.packed ? Shape{tokens, heads, width} : Shape{layout.sequences, layout.length, heads, width};
  AttentionInputs inputs;
  if (layout.packed) {
    inputs.cu_seqlens = layout.offsets;
  } else {
    inputs.key_padding = layout.padding;
  }
  if (run.token_ids.defined())
    inputs.query_ids = inputs.key_ids = run.token_ids.view(Layout(layout.packed ? Shape{tokens} : Shape{layout.sequences, layout.length}));
  const Tensor a = scaled_dot_product_attention(
      reshape(block.query(q), shape), reshape(block.key(x), shape), reshape(block.value(x), shape),
      {.causal = true, .dropout = block.attention_dropout.rate_in(run), .key = block.attention_dropout.key_in(run)}, inputs);
  const Tensor joined = reshape(a, Shape{tokens, options_.hidden_size});
  return block.output ? (*block.output)(joined) : joined;
}

}  // namespace capstan::nn
