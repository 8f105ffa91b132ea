#include "nn/models/bert.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

LayerNormOptions norm(const BertOptions& o) { return {.width = o.hidden_size, .epsilon = o.norm_epsilon}; }
bool is_relative(const BertOptions& o) { return o.positions != RelativePositions::none; }

TransformerStackOptions encoder(const BertOptions& o) {
  return {.layers = o.layers,
          .layer = {.width = o.hidden_size,
                    .heads = o.heads,
                    .inner = o.intermediate_size,
                    .activation = o.activation,
                    .dropout = o.hidden_dropout,
                    .attention_dropout = o.attention_dropout,
                    .epsilon = o.norm_epsilon,
                    .relative = o.positions,
                    .max_length = o.max_positions,
                    .init = truncated_normal(o.initializer_range)},
          .final_norm = false,
          .layer_name = "layer_"};
}

// The gradient names rows on demand: most rows of the word table are not in a batch.
Parameter table(const Scope& scope, std::string_view name, std::int64_t rows, const BertOptions& o) {
  return scope.parameter(name, {rows, o.hidden_size}, truncated_normal(o.initializer_range));
}

Scope embeddings(const Scope& scope) { return (scope / "bert" / "embeddings").at_depth(0); }

}  // namespace

void BertOptions::validate() const {
  require<ConfigError>(hidden_size % heads == 0, "bert: model.hidden_size must be a multiple of model.heads, got ", hidden_size, " and ",
                       heads);
}

Linear bert_linear(const Scope& scope, std::int64_t out, const BertOptions& o) {
  return Linear(scope, {.in = o.hidden_size, .out = out, .init = truncated_normal(o.initializer_range)});
}

BertEncoder::BertEncoder(const Scope& scope, std::int64_t vocab_size, const BertOptions& o, const Parts& parts)
    : options_(o),
      precision_(parts.precision),
      words_(table(embeddings(scope), "word_embeddings", vocab_size, o)),
      positions_(is_relative(o) ? Parameter() : table(embeddings(scope), "position_embeddings", o.max_positions, o)),
      types_(table(embeddings(scope), "token_type_embeddings", o.token_types, o)),
      embedding_norm_(embeddings(scope) / "LayerNorm", norm(o)),
      embedding_dropout_(embeddings(scope) / "dropout", o.hidden_dropout),
      encoder_(scope / "bert" / "encoder", encoder(o)) {
  if (parts.pooler) pooler_.emplace(bert_linear(scope / "bert" / "pooler" / "dense", o.hidden_size, o));
}

Tensor BertEncoder::words_of(const Tensor& ids) const {
  const Tensor words = embedding(words_.value(), ids, {.sparse = true});
  const auto known = ids.span<const std::int64_t>();
  if (std::ranges::find(known, options_.padding_token) == known.end()) return words;
  Tensor is_padding(Shape{ids.numel(), 1}, DType::u8);
  std::ranges::transform(known, is_padding.data<std::uint8_t>(), [&](std::int64_t id) { return id == options_.padding_token ? 1 : 0; });
  const Tensor fixed = [&] {
    const NoGrad outside;
    return embedding(words_.value(), ids);
  }();
  return where(is_padding, fixed, words);
}

Tensor BertEncoder::embed(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const {
  require(layout.length <= options_.max_positions, "bert: a sequence must not exceed the model's positions: length ", layout.length,
          ", positions ", options_.max_positions);
  Tensor x = add(words_of(ids), embedding(types_.value(), segments));
  if (positions_.defined()) x = add(x, embedding(positions_.value(), layout.positions));
  return embedding_dropout_(embedding_norm_(x), run);  // [tokens, H]
}

BertEncoder::EncoderInput BertEncoder::encoder_input(const Tensor& ids, const Tensor& segments, const TokenLayout& layout,
                                                     const Run& run) const {
  require(!layout.packed || !is_relative(options_), "bert: relative positions need a padded batch");
  Tensor x = embed(ids, segments, layout, run);
  if (precision_ == DType::bf16) x = cast(x, DType::bf16);
  if (layout.packed) return {x, {.cu_seqlens = layout.offsets}};
  return {reshape(x, {layout.sequences, layout.length, options_.hidden_size}), {.keys = layout.padding}};
}

Tensor BertEncoder::encode(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const {
  const auto [x, mask] = encoder_input(ids, segments, layout, run);
  return reshape(encoder_(x, mask, run), {layout.tokens(), options_.hidden_size});
}

std::vector<Tensor> BertEncoder::all_layers(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const {
  const auto [x, mask] = encoder_input(ids, segments, layout, run);
  std::vector<Tensor> layers = encoder_.all_layers(x, mask, run);
  layers.insert(layers.begin(), x);
  for (Tensor& layer : layers) layer = reshape(layer, {layout.tokens(), options_.hidden_size});
  return layers;
}

Tensor BertEncoder::pooled(const Tensor& encoded, const TokenLayout& layout) const {
  require<InternalError>(pooler_.has_value(), "bert: this encoder has no pooler");
  const Tensor first = index_select(encoded, 0, layout.first);  // [B, H]
  return bias_activation(pooler_->without_bias(first), weight_for(pooler_->bias(), first), Activation::tanh);
}

}  // namespace capstan::nn
