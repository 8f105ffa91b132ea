#include "nn/transformer.h"

#include <cmath>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"

namespace capstan::nn {
namespace {

TransformerLayerOptions layer(const TransformerOptions& o) {
  return {.width = o.width,
          .heads = o.heads,
          .inner = o.inner,
          .activation = o.activation,
          .pre_norm = o.pre_norm,
          .dropout = o.dropout,
          .attention_dropout = o.dropout,
          .activation_dropout = o.dropout,
          .epsilon = o.epsilon,
          .bias = o.bias,
          .init = glorot_uniform(),
          .projection_init = glorot_uniform({.in = o.width, .out = 3 * o.width})};
}

/// Axes 0 and 1 exchanged, which is its own inverse.
Tensor batch_of(const Tensor& x, bool batch_first) { return batch_first ? x : transpose(x, 0, 1); }

template <class F>
Tensor filled(const Shape& shape, DType dtype, const F& value) {
  Tensor out(shape, dtype);
  dispatch_floating("positions", dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < shape[0]; ++i)
      for (std::int64_t j = 0; j < shape[1]; ++j) {
        if constexpr (std::is_same_v<T, double>) {
          out.data<T>()[i * shape[1] + j] = value(i, j);
        } else {
          out.data<T>()[i * shape[1] + j] = T(static_cast<float>(value(i, j)));
        }
      }
  });
  return out;
}

}  // namespace

Transformer::Transformer(const Scope& scope, const TransformerOptions& o)
    : heads_(o.heads), batch_first_(o.batch_first), custom_encoder_(o.encoder), custom_decoder_(o.decoder) {
  if (!custom_encoder_) encoder_.emplace(scope / "encoder", TransformerStackOptions{.layers = o.encoder_layers, .layer = layer(o)});
  if (!custom_decoder_) decoder_.emplace(scope / "decoder", TransformerStackOptions{.layers = o.decoder_layers, .layer = layer(o)});
}

Tensor Transformer::operator()(const Tensor& source, const Tensor& target, const TransformerMasks& masks, const Run& run) const {
  return decode(target, encode(source, masks.source, run), masks.target, masks.memory, run);
}

Tensor Transformer::encode(const Tensor& source, const TorchMask& mask, const Run& run) const {
  const Tensor x = batch_of(source, batch_first_);
  const AttentionMask ours = attention_mask(mask, heads_);
  return batch_of(custom_encoder_ ? custom_encoder_(x, ours, run) : (*encoder_)(x, ours, run), batch_first_);
}

Tensor Transformer::decode(const Tensor& target, const Tensor& memory, const TorchMask& mask, const TorchMask& memory_mask,
                           const Run& run) const {
  const Tensor x = batch_of(target, batch_first_);
  const DecoderInputs inputs{
      .memory = batch_of(memory, batch_first_), .mask = attention_mask(mask, heads_), .memory_mask = attention_mask(memory_mask, heads_)};
  return batch_of(custom_decoder_ ? custom_decoder_(x, inputs, run) : (*decoder_)(x, inputs, run), batch_first_);
}

Tensor square_subsequent_mask(std::int64_t size, DType dtype) {
  return filled({size, size}, dtype, [](std::int64_t i, std::int64_t j) { return j > i ? -std::numeric_limits<double>::infinity() : 0.0; });
}

Tensor sinusoidal_positions(std::int64_t rows, std::int64_t width, DType dtype) {
  return filled({rows, width}, dtype, [width](std::int64_t position, std::int64_t j) {
    const double angle = static_cast<double>(position) / std::pow(10000.0, static_cast<double>(j - j % 2) / static_cast<double>(width));
    return j % 2 == 0 ? std::sin(angle) : std::cos(angle);
  });
}

}  // namespace capstan::nn
