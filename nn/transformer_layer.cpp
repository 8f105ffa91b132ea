#include "nn/transformer_layer.h"

namespace capstan::nn {

EncoderLayer::EncoderLayer(const Scope& scope, const TransformerLayerOptions& o)
    : attention_(scope, "attention", o), feed_forward_(scope, "feed_forward", o) {}

Tensor EncoderLayer::operator()(const Tensor& x, const AttentionMask& mask, const Run& run) const {
  return step(residual().begin(x), {}, mask, nullptr, run).input;
}

Residual::State EncoderLayer::step(const Residual::State& x, const Tensor& keys, const AttentionMask& mask, const LayerNorm* next,
                                   const Run& run, AttentionWeights* weights) const {
  const Residual::State middle = attention_(x, keys, mask, &feed_forward_.residual().norm(), run, weights);  // [B, T, C]
  return feed_forward_(middle, next, run);
}

Tensor EncoderLayer::decode(const Tensor& x, LayerCache& cache, const AttentionMask& mask, const Run& run) const {
  return decode_step(residual().begin(x), cache, mask, nullptr, run).input;
}

Residual::State EncoderLayer::decode_step(const Residual::State& x, LayerCache& cache, const AttentionMask& mask, const LayerNorm* next,
                                          const Run& run) const {
  check_decoding(x.input, cache, /*reads_memory=*/false);
  const Residual::State middle = attention_.decode(x, cache.self_attention, mask, &feed_forward_.residual().norm(), run);  // [B, n, C]
  return feed_forward_(middle, next, run);
}

}  // namespace capstan::nn
