#include "nn/models/transformer.h"

#include <cmath>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/transformer.h"

namespace capstan::nn {
namespace {

TransformerStackOptions stack(const TransformerModelOptions& o, std::int64_t layers) {
  return {.layers = layers,
          .layer = {.width = o.hidden_size,
                    .heads = o.heads,
                    .inner = o.intermediate_size,
                    .key_value_heads = o.kv_heads,
                    .activation = o.activation,
                    .pre_norm = o.pre_norm,
                    .dropout = o.dropout,
                    .attention_dropout = o.attention_dropout,
                    .activation_dropout = o.activation_dropout,
                    .epsilon = o.norm_epsilon,
                    .bias = o.bias,
                    .init = glorot_uniform(),
                    .projection_init = glorot_uniform({.in = o.hidden_size, .out = 3 * o.hidden_size})}};
}

Parameter table(const Scope& scope, std::int64_t rows, const TransformerModelOptions& o) {
  return scope.at_depth(0).parameter("weight", {rows, o.hidden_size}, normal(1 / std::sqrt(static_cast<double>(o.hidden_size))));
}

Parameter positions(const Scope& scope, std::string_view name, const TransformerModelOptions& o) {
  if (o.positions == PositionKind::sinusoidal) return {};
  return scope.at_depth(0).parameter(name, {o.max_positions, o.hidden_size}, normal(0.02));
}

}  // namespace

void TransformerModelOptions::validate() const {
  require<ConfigError>(hidden_size % heads == 0, "transformer: model.hidden_size must be a multiple of model.heads, got ", hidden_size,
                       " and ", heads);
  require<ConfigError>(kv_heads == 0 || heads % kv_heads == 0, "transformer: model.heads must be a multiple of model.kv_heads, got ", heads,
                       " and ", kv_heads);
}

TransformerModel::TransformerModel(const Scope& scope, const Vocabularies& v, const TransformerModelOptions& o, DType precision)
    : options_(o),
      precision_(precision),
      source_(table(scope / (o.tied == TiedTables::all ? "embedding" : "source_embedding"), v.source, o)),
      target_(o.tied == TiedTables::all ? source_ : table(scope / "target_embedding", v.target, o)),
      output_(o.tied == TiedTables::none ? table(scope / "output", v.target, o) : target_),
      source_positions_(positions(scope, "source_positions", o)),
      target_positions_(positions(scope, "target_positions", o)),
      source_dropout_(scope / "source_dropout", o.dropout),
      target_dropout_(scope / "target_dropout", o.dropout),
      encoder_(scope / "encoder", stack(o, o.encoder_layers)),
      decoder_(scope / "decoder", stack(o, o.decoder_layers)) {
  require<ConfigError>(o.tied != TiedTables::all || v.source == v.target,
                       "transformer: model.tied = all needs one vocabulary for source and target, got ", v.source, " and ", v.target,
                       " tokens");
  if (o.positions == PositionKind::sinusoidal) sinusoids_ = sinusoidal_positions(o.max_positions, o.hidden_size, source_.dtype());
}

Tensor TransformerModel::embed(const Tokens& tokens, const Parameter& table, const Tensor& positions, const Dropout& dropout,
                               const Run& run) const {
  const std::int64_t length = tokens.ids.size(1);
  require(length <= options_.max_positions, "transformer: a sequence must not exceed the model's positions: length ", length,
          ", max_positions ", options_.max_positions);
  const double scale = std::sqrt(static_cast<double>(options_.hidden_size));
  const Tensor x =
      add(embedding(table.value(), tokens.ids, {.scale = scale, .sparse = true}), slice(positions, 0, 0, length));  // [B, T, H]
  return cast(dropout(x, run), precision_ == DType::bf16 ? DType::bf16 : x.dtype());
}

Tensor TransformerModel::encode(const Tokens& source, const Run& run) const {
  Run named = run;
  named.token_ids = source.keys;
  return encoder_(embed(source, source_, source_positions(), source_dropout_, named), {.keys = source.real}, named);
}

Tensor TransformerModel::decode(const Tokens& target, const Tensor& memory, const Tokens& source, const Run& run) const {
  Run named = run;
  named.token_ids = target.keys;
  return decoder_(embed(target, target_, target_positions(), target_dropout_, named), inputs_of(memory, source), named);
}

std::pair<Tensor, Tensor> TransformerModel::decode_with_attention(const Tokens& target, const Tensor& memory, const Tokens& source,
                                                                  const Run& run) const {
  Run named = run;
  named.token_ids = target.keys;
  auto both = decoder_.with_weights(embed(target, target_, target_positions(), target_dropout_, named), inputs_of(memory, source), named);
  return {std::move(both.output), std::move(both.weights.back())};  // that of a layer stand as self-attention, attention to the memory
}

DecoderInputs TransformerModel::inputs_of(const Tensor& memory, const Tokens& source) {
  return {.memory = memory, .memory_mask = {.keys = source.real, .key_ids = source.keys}};
}

}  // namespace capstan::nn
