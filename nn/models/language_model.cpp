#include "nn/models/language_model.h"

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

constexpr double kDeviation = 0.02;  // of the weights at the start

Activation activation_of(FeedForwardKind k) {
  switch (k) {
    case FeedForwardKind::relu: return Activation::relu;
    case FeedForwardKind::gelu: return Activation::gelu;
    default: return Activation::gelu_tanh;
  }
}

std::optional<Gate> gate_of(FeedForwardKind k) {
  switch (k) {
    case FeedForwardKind::swiglu: return Gate::swiglu;
    case FeedForwardKind::geglu: return Gate::geglu;
    default: return std::nullopt;
  }
}

TransformerStackOptions stack(const LanguageModelOptions& o) {
  const Initializer ends_branch = normal(kDeviation / std::sqrt(2 * static_cast<double>(o.layers)));
  return {.layers = o.layers,
          .layer = {.width = o.hidden_size,
                    .heads = o.heads,
                    .inner = o.intermediate_size,
                    .key_value_heads = o.kv_heads,
                    .activation = activation_of(o.activation),
                    .gate = gate_of(o.activation),
                    .norm = o.norm,
                    .pre_norm = true,
                    .dropout = o.dropout,
                    .attention_dropout = o.attention_dropout,
                    .epsilon = o.norm_epsilon,
                    .bias = o.bias,
                    .rotary_base = o.positions == LanguagePositions::rotary ? o.rope_theta : 0,
                    .init = ends_branch,
                    .projection_init = normal(kDeviation),
                    .feed_forward_init = normal(kDeviation),
                    .feed_forward_outer_init = ends_branch}};
}

Parameter table(const Scope& scope, std::int64_t rows, const LanguageModelOptions& o) {
  return scope.parameter("weight", {rows, o.hidden_size}, normal(kDeviation));
}

}  // namespace

void LanguageModelOptions::validate() const {
  require<ConfigError>(hidden_size % heads == 0, "language_model: model.hidden_size must be a multiple of model.heads, got ", hidden_size,
                       " and ", heads);
  require<ConfigError>(kv_heads == 0 || heads % kv_heads == 0, "language_model: model.heads must be a multiple of model.kv_heads, got ",
                       heads, " and ", kv_heads);
  require<ConfigError>(positions != LanguagePositions::rotary || hidden_size / heads % 2 == 0,
                       "language_model: rotary positions need an even width of a head, model.hidden_size / model.heads is ",
                       hidden_size / heads);
}

LanguageModel::LanguageModel(const Scope& scope, std::int64_t vocabulary, const LanguageModelOptions& o, DType precision)
    : options_(o),
      precision_(precision),
      embedding_(table((scope / "embedding").at_depth(0), vocabulary, o)),
      output_(o.tied ? embedding_ : table(scope / "output", vocabulary, o)),
      dropout_(scope / "dropout", o.dropout),
      layers_(scope / "layers", stack(o)) {
  const Shape shape{o.max_positions, o.hidden_size};
  if (o.positions == LanguagePositions::learned) positions_ = scope.at_depth(0).parameter("positions", shape, normal(kDeviation));
  if (o.positions == LanguagePositions::sinusoidal) sinusoids_ = sinusoidal_positions(shape[0], shape[1], embedding_.dtype());
}

Tensor LanguageModel::hidden(const Tensor& ids, const Tensor& keys, const Run& run) const {
  require(ids.rank() == 2 && ids.size(1) <= options_.max_positions,
          "language_model: tokens must be [B, T], no longer than the window: ids ", ids, ", max_positions ", options_.max_positions);
  Run named = run;
  named.token_ids = keys;
  Tensor x = capstan::embedding(embedding_.value(), ids, {.sparse = !options_.tied});  // [B, T, H]
  if (positions().defined()) x = add(x, slice(positions(), 0, 0, ids.size(1)));
  return layers_(cast(dropout_(x, named), precision_ == DType::bf16 ? DType::bf16 : x.dtype()), {.causal = true}, named);
}

std::int64_t cache_numbers(const LanguageModelOptions& o) {
  return 2 * o.layers * (o.kv_heads == 0 ? o.heads : o.kv_heads) * (o.hidden_size / o.heads);
}

}  // namespace capstan::nn
