#include "recipes/bert/model.h"

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::bert {
namespace {

constexpr double kEpsilon = 1e-12;

nn::LayerNormOptions norm(const ModelOptions& o) { return {.width = o.hidden_size, .epsilon = kEpsilon}; }
nn::LinearOptions linear_to(std::int64_t out, const ModelOptions& o) {
  return {.in = o.hidden_size, .out = out, .init = nn::truncated_normal(o.initializer_range)};
}
bool is_relative(const ModelOptions& o) { return o.positions != nn::RelativePositions::none; }

nn::TransformerStackOptions encoder(const ModelOptions& o) {
  return {.layers = o.layers,
          .layer = {.width = o.hidden_size,
                    .heads = o.heads,
                    .inner = o.intermediate_size,
                    .activation = o.activation,
                    .dropout = o.hidden_dropout,
                    .attention_dropout = o.attention_dropout,
                    .epsilon = kEpsilon,
                    .relative = o.positions,
                    .max_length = o.max_positions,
                    .init = nn::truncated_normal(o.initializer_range)},
          .final_norm = false,
          .layer_name = "layer_"};
}

// The gradient names rows on demand: most rows of the word table are not in a batch.
Parameter table(const nn::Scope& scope, std::string_view name, std::int64_t rows, const ModelOptions& o) {
  return scope.parameter(name, {rows, o.hidden_size}, nn::truncated_normal(o.initializer_range));
}

}  // namespace

Model::Model(const nn::Scope& scope, std::int64_t vocab_size, const ModelOptions& o, DType precision)
    : options_(o),
      precision_(precision),
      words_(table(scope / "bert" / "embeddings", "word_embeddings", vocab_size, o)),
      positions_(is_relative(o) ? Parameter() : table(scope / "bert" / "embeddings", "position_embeddings", o.max_positions, o)),
      types_(table(scope / "bert" / "embeddings", "token_type_embeddings", o.token_types, o)),
      embedding_norm_(scope / "bert" / "embeddings" / "LayerNorm", norm(o)),
      embedding_dropout_(scope / "bert" / "embeddings" / "dropout", o.hidden_dropout),
      encoder_(scope / "bert" / "encoder", encoder(o)),
      pooler_(scope / "bert" / "pooler" / "dense", linear_to(o.hidden_size, o)),
      output_bias_((scope / "cls" / "predictions").parameter("output_bias", {vocab_size}, nn::zeros(), {.decay = false})),
      transform_(scope / "cls" / "predictions" / "transform" / "dense", linear_to(o.hidden_size, o)),
      transform_norm_(scope / "cls" / "predictions" / "transform" / "LayerNorm", norm(o)),
      seq_relationship_(scope / "cls" / "seq_relationship", linear_to(2, o)) {}

Tensor Model::embed(const Batch& batch, const nn::Run& run) const {
  require(batch.length <= options_.max_positions, "bert: a sequence must not exceed the model's positions: length ", batch.length,
          ", positions ", options_.max_positions);
  Tensor x = add(embedding(words_.value(), batch.ids, {.sparse = true}), embedding(types_.value(), batch.segments));
  if (positions_.defined()) x = add(x, embedding(positions_.value(), batch.positions));
  return embedding_dropout_(embedding_norm_(x), run);  // [tokens, H]
}

Model::EncoderInput Model::encoder_input(const Batch& batch, const nn::Run& run) const {
  require(!batch.packed || !is_relative(options_), "bert: relative positions need a padded batch");
  Tensor x = embed(batch, run);
  if (precision_ == DType::bf16) x = cast(x, DType::bf16);
  if (batch.packed) return {x, {.cu_seqlens = batch.offsets}};
  return {reshape(x, {batch.sequences, batch.length, options_.hidden_size}), {.keys = batch.padding}};
}

Tensor Model::encode(const Batch& batch, const nn::Run& run) const {
  const auto [x, mask] = encoder_input(batch, run);
  return reshape(encoder_(x, mask, run), {batch.ids.numel(), options_.hidden_size});
}

std::vector<Tensor> Model::all_layers(const Batch& batch, const nn::Run& run) const {
  const auto [x, mask] = encoder_input(batch, run);
  std::vector<Tensor> layers = encoder_.all_layers(x, mask, run);
  layers.insert(layers.begin(), x);
  for (Tensor& layer : layers) layer = reshape(layer, {batch.ids.numel(), options_.hidden_size});
  return layers;
}

Tensor Model::pooled(const Tensor& encoded, const Batch& batch) const {
  const Tensor first = index_select(encoded, 0, batch.first);  // [B, H]
  return bias_activation(pooler_.without_bias(first), nn::weight_for(pooler_.bias(), first), Activation::tanh);
}

Tensor Model::transformed(const Tensor& encoded, const Tensor& tokens) const {
  const Tensor x = index_select(encoded, 0, tokens);  // [N, H]
  return transform_norm_(bias_activation(transform_.without_bias(x), nn::weight_for(transform_.bias(), x), options_.activation));
}

Tensor Model::masked_lm_logits(const Tensor& t) const { return linear(t, nn::weight_for(words_, t), nn::weight_for(output_bias_, t)); }

Model::Losses Model::losses(const Batch& batch, const nn::Run& run) const {
  const Tensor x = encode(batch, run);
  const Tensor h = transformed(x, batch.masked);
  const Tensor masked_lm =
      linear_cross_entropy(h, nn::weight_for(words_, h), nn::weight_for(output_bias_, h), batch.labels, {.reduction = Reduction::sum()})
          .value;
  const Tensor logits = next_sentence_logits(pooled(x, batch));
  return {masked_lm, cross_entropy(logits, batch.next, {.reduction = Reduction::sum()}).value};
}

double forward_multiply_adds(const ModelOptions& o, std::int64_t vocab_size, std::int64_t sequences, std::int64_t length,
                             std::int64_t predictions) {
  const auto b = static_cast<double>(sequences), t = static_cast<double>(length), n = static_cast<double>(predictions);
  const auto h = static_cast<double>(o.hidden_size), i = static_cast<double>(o.intermediate_size), v = static_cast<double>(vocab_size);
  const double layer = t * (4 * h * h + 2 * h * i) + 2 * t * t * h;
  return b * (static_cast<double>(o.layers) * layer + h * h + 2 * h + n * (h * h + v * h));
}

}  // namespace capstan::bert
