#include "nn/models/gru4rec.h"

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"
#include "nn/init.h"

namespace capstan::nn {
namespace {

std::int64_t input_width(const Gru4RecOptions& o) {
  if (o.input == Gru4RecInput::one_hot) return 0;
  if (o.input == Gru4RecInput::shared) return o.layers.back();
  return o.embedding > 0 ? o.embedding : o.layers.front();
}

}  // namespace

Gru4Rec::Gru4Rec(const Scope& scope, std::int64_t item_count, const Gru4RecOptions& o) {
  require<ConfigError>(!o.layers.empty(), "gru4rec: model.layers must name at least one width");
  require<ConfigError>(o.input != Gru4RecInput::one_hot || o.dropout_embed == 0, "gru4rec: model.dropout_embed = ", o.dropout_embed,
                       " has nothing to act on with model.input = one_hot");
  require<ConfigError>(item_count > 0, "gru4rec: there are no items");
  const std::int64_t width = o.layers.back(), in = input_width(o);
  table_ = (scope / "items").parameter("weight", {item_count, width}, glorot_uniform(), {.sparse_gradient = true});
  bias_ = (scope / "items").parameter("bias", {item_count}, zeros(), {.sparse_gradient = true});
  if (o.input == Gru4RecInput::shared) {
    input_table_ = table_;
  } else if (o.input == Gru4RecInput::separate) {
    input_table_ = (scope / "embedding").parameter("weight", {item_count, in}, glorot_uniform(), {.sparse_gradient = true});
  } else {
    const std::int64_t first = o.layers.front();
    input_table_ =
        (scope / "gates").parameter("weight", {item_count, 3 * first}, glorot_uniform({item_count, first}), {.sparse_gradient = true});
    input_bias_ = (scope / "gates").parameter("bias", {3 * first}, zeros());
  }
  if (in > 0) embed_dropout_.emplace(scope / "embedding", o.dropout_embed);
  for (std::size_t i = 0; i < o.layers.size(); ++i) {
    const Scope place = scope / "gru" / static_cast<std::int64_t>(i);
    layers_.push_back({GruCell(place, {.input = i == 0 ? in : o.layers[i - 1], .hidden = o.layers[i], .variant = o.gru}),
                       Dropout(place, o.dropout_hidden)});
  }
}

Tensor Gru4Rec::step(const Tensor& inputs, Hidden& hidden, const Run& run) const {
  Tensor x = embedding(input_table_.value(), inputs, {.sparse = true});  // [M, input], or all gates [M, 3 H]
  if (embed_dropout_) x = (*embed_dropout_)(x, run);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const GruCell& cell = layers_[i].cell;
    const bool looked_up = i == 0 && !embed_dropout_;
    x = looked_up ? cell.step_from_projection(add(x, input_bias_.value()), hidden[i]) : cell.step(x, hidden[i]);
    x = layers_[i].dropout(x, run);
    hidden[i] = x.detach();
  }
  return x;
}

Hidden Gru4Rec::start(std::int64_t slots) const {
  Hidden out;
  for (const Layer& layer : layers_) out.push_back(Tensor::zeros({slots, layer.cell.hidden()}, table_.dtype()));
  return out;
}

Tensor Gru4Rec::scores(const Tensor& output) const { return linear(output, table_.value(), bias_.value()); }

}  // namespace capstan::nn
