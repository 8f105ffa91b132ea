#include "recipes/gru4rec/model.h"

#include <algorithm>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"

namespace capstan::gru4rec {
namespace {

std::int64_t input_width(const ModelOptions& o) {
  if (o.input == Input::one_hot) return 0;
  if (o.input == Input::shared) return o.layers.back();
  return o.embedding > 0 ? o.embedding : o.layers.front();
}

}  // namespace

Model::Model(const nn::Scope& scope, std::int64_t item_count, const ModelOptions& o) {
  require<ConfigError>(!o.layers.empty(), "gru4rec: model.layers must name at least one width");
  require<ConfigError>(o.input != Input::one_hot || o.dropout_embed == 0, "gru4rec: model.dropout_embed = ", o.dropout_embed,
                       " has nothing to act on with model.input = one_hot");
  require<ConfigError>(item_count > 0, "gru4rec: there are no items");
  const std::int64_t width = o.layers.back(), in = input_width(o);
  table_ = (scope / "items").parameter("weight", {item_count, width}, nn::glorot_uniform(), {.sparse_gradient = true});
  bias_ = (scope / "items").parameter("bias", {item_count}, nn::zeros(), {.sparse_gradient = true});
  if (o.input == Input::shared) {
    input_table_ = table_;
  } else if (o.input == Input::separate) {
    input_table_ = (scope / "embedding").parameter("weight", {item_count, in}, nn::glorot_uniform(), {.sparse_gradient = true});
  } else {
    const std::int64_t first = o.layers.front();
    input_table_ =
        (scope / "gates").parameter("weight", {item_count, 3 * first}, nn::glorot_uniform({item_count, first}), {.sparse_gradient = true});
    input_bias_ = (scope / "gates").parameter("bias", {3 * first}, nn::zeros());
  }
  if (in > 0) embed_dropout_.emplace(scope / "embedding", o.dropout_embed);
  for (std::size_t i = 0; i < o.layers.size(); ++i) {
    const nn::Scope place = scope / "gru" / static_cast<std::int64_t>(i);
    layers_.push_back({nn::GruCell(place, {.input = i == 0 ? in : o.layers[i - 1], .hidden = o.layers[i], .variant = o.gru}),
                       nn::Dropout(place, o.dropout_hidden)});
  }
}

Tensor Model::step(const Tensor& inputs, Hidden& hidden, const nn::Run& run) const {
  Tensor x = embedding(input_table_.value(), inputs, {.sparse = true});  // [M, input], or all gates [M, 3 H]
  if (embed_dropout_) x = (*embed_dropout_)(x, run);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const nn::GruCell& cell = layers_[i].cell;
    const bool looked_up = i == 0 && !embed_dropout_;
    x = looked_up ? cell.step_from_projection(add(x, input_bias_.value()), hidden[i]) : cell.step(x, hidden[i]);
    x = layers_[i].dropout(x, run);
    hidden[i] = x.detach();
  }
  return x;
}

Hidden Model::start(std::int64_t slots) const {
  Hidden out;
  for (const Layer& layer : layers_) out.push_back(Tensor::zeros({slots, layer.cell.hidden()}, table_.dtype()));
  return out;
}

Tensor Model::scores(const Tensor& output) const { return linear(output, table_.value(), bias_.value()); }

Hidden continued(const Hidden& hidden, const Model& model, std::span<const std::int32_t> kept, std::span<const std::uint8_t> reset) {
  const bool any_reset = std::ranges::any_of(reset, [](std::uint8_t r) { return r != 0; });
  if (hidden.empty()) return model.start(static_cast<std::int64_t>(reset.size()));
  if (kept.empty() && !any_reset) return hidden;
  Hidden out = model.start(static_cast<std::int64_t>(reset.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t width = out[i].size(1);
    dispatch_floating("gru4rec", out[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::size_t m = 0; m < reset.size(); ++m) {
        const auto row = static_cast<std::int64_t>(m), from = kept.empty() ? row : std::int64_t{kept[m]};
        if (reset[m] == 0) std::copy_n(hidden[i].data<const T>() + from * width, width, out[i].data<T>() + row * width);
      }
    });
  }
  return out;
}

double forward_multiply_adds(const ModelOptions& o, std::int64_t slots, std::int64_t candidates) {
  double per_slot = static_cast<double>(candidates) * static_cast<double>(o.layers.back());
  auto in = static_cast<double>(input_width(o));
  for (const std::int64_t layer : o.layers) {
    const auto width = static_cast<double>(layer);
    per_slot += 3 * width * (in + width);
    in = width;
  }
  return static_cast<double>(slots) * per_slot;
}

}  // namespace capstan::gru4rec
