#include "nn/decoder_layer.h"

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

/// The memory has no places that those of x could be compared with.
TransformerLayerOptions without_places(TransformerLayerOptions o) {
  o.relative = RelativePositions::none;
  o.rotary_base = 0;
  return o;
}

}  // namespace

DecoderLayer::DecoderLayer(const Scope& scope, const TransformerLayerOptions& o)
    : self_attention_(scope, "self_attention", o),
      cross_attention_(scope, "cross_attention", without_places(o)),
      feed_forward_(scope, "feed_forward", o) {}

Tensor DecoderLayer::operator()(const Tensor& x, const DecoderInputs& inputs, const Run& run) const {
  return step(residual().begin(x), {}, inputs, nullptr, run).input;
}

Residual::State DecoderLayer::step(const Residual::State& x, const Tensor& keys, const DecoderInputs& inputs, const LayerNorm* next,
                                   const Run& run, AttentionWeights* weights) const {
  require(inputs.memory.defined(), "decoder_layer: there must be a memory to attend to: x ", x.input, ", memory ", inputs.memory);
  Residual::State state = self_attention_(x, keys, inputs.mask, &cross_attention_.residual().norm(), run, weights);  // [B, T, C]
  state = cross_attention_(state, inputs.memory, inputs.memory_mask, &feed_forward_.residual().norm(), run, weights);
  return feed_forward_(state, next, run);
}

LayerCache DecoderLayer::begin_decoding(const Tensor& memory, const Tensor& real, std::int64_t capacity) const {
  require(memory.rank() == 3, "decoder_layer: the memory must be [B, S, width]: memory ", memory);
  LayerCache cache{.self_attention = KeyValueCache(capacity), .cross_attention = KeyValueCache(memory.size(1))};
  cross_attention_.extend(cache.cross_attention, memory, real);
  return cache;
}

Tensor DecoderLayer::decode(const Tensor& x, LayerCache& cache, const AttentionMask& mask, const Run& run) const {
  return decode_step(residual().begin(x), cache, mask, nullptr, run).input;
}

Residual::State DecoderLayer::decode_step(const Residual::State& x, LayerCache& cache, const AttentionMask& mask, const LayerNorm* next,
                                          const Run& run) const {
  check_decoding(x.input, cache, /*reads_memory=*/true);
  Residual::State state = self_attention_.decode(x, cache.self_attention, mask, &cross_attention_.residual().norm(), run);  // [B, n, C]
  state = cross_attention_.attend(state, cache.cross_attention, &feed_forward_.residual().norm(), run);
  return feed_forward_(state, next, run);
}

}  // namespace capstan::nn
