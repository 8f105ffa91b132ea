#include "nn/decoder_layer.h"

namespace capstan::nn {
namespace {

AttentionOptions cross_attention_options(const TransformerLayerOptions& o) {
  AttentionOptions attention = attention_options(o);
  attention.relative = RelativePositions::none;
  return attention;
}

}  // namespace

DecoderLayer::DecoderLayer(const Scope& scope, const TransformerLayerOptions& o)
    : self_attention_(scope, "self_attention", attention_options(o), residual_options(o)),
      cross_attention_(scope, "cross_attention", cross_attention_options(o), residual_options(o)),
      feed_forward_(scope, "feed_forward", feed_forward_options(o), residual_options(o)) {}

Tensor DecoderLayer::operator()(const Tensor& x, const DecoderInputs& inputs, const Run& run) const {
  return step(residual().begin(x), {}, inputs, nullptr, run).input;
}

Residual::State DecoderLayer::step(const Residual::State& x, const Tensor& keys, const DecoderInputs& inputs, const LayerNorm* next,
                                   const Run& run, AttentionWeights* weights) const {
  Residual::State state =
      self_attention_(x, keys.defined() ? keys : x.input, inputs.mask, &cross_attention_.residual().norm(), run, weights);  // [B, T, C]
  state = cross_attention_(state, inputs.memory, inputs.memory_mask, &feed_forward_.residual().norm(), run, weights);
  return feed_forward_(state, next, run);
}

}  // namespace capstan::nn
