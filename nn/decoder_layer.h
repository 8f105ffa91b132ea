#pragma once
// The decoder layer of a transformer (Vaswani et al. 2017): causal self-attention, attention to a memory (what an encoder made) and a
// feed-forward layer, each with a residual connection and a normalisation, post-norm or pre-norm as in transformer_layer.h:
//     post   x = LN(x + dropout(self_attention(x)));  x = LN(x + dropout(cross_attention(x, memory)));  y = LN(x +
//     dropout(feed_forward(x))) pre    x = x + dropout(self_attention(LN(x)));  x = x + dropout(cross_attention(LN(x), memory));  y = x +
//     dropout(feed_forward(LN(x)))
// torch.nn.TransformerDecoderLayer with batch_first. The memory is read as it is: an encoder of pre-norm layers normalises it itself.
// A decoder without memory is a stack of EncoderLayer with a causal mask.
//
// Parameters: self_attention/... and cross_attention/{query, key, value, output}, feed_forward/{inner, outer}, and self_attention_norm,
// cross_attention_norm, feed_forward_norm, each with weight and bias.

#include <vector>

#include "nn/transformer_layer.h"

namespace capstan::nn {

/// What every layer of a decoder reads beside x [B, T, width].
struct DecoderInputs {
  Tensor memory;                          ///< [B, S, width]
  AttentionMask mask = {.causal = true};  ///< of self-attention
  AttentionMask memory_mask =
      {};  ///< of cross-attention; its keys [B, S] say which rows of the memory are real, its key_ids name them for dropout
};

class DecoderLayer {
 public:
  using Inputs = DecoderInputs;
  /// Relative and rotary positions are those of self-attention.
  DecoderLayer(const Scope& scope, const TransformerLayerOptions& options);

  /// x [B, T, width] -> the same shape.
  Tensor operator()(const Tensor& x, const DecoderInputs& inputs, const Run& run) const;

  /// As EncoderLayer::step. Weights: of self-attention, then of cross-attention.
  Residual::State step(const Residual::State& x, const Tensor& keys, const DecoderInputs& inputs, const LayerNorm* next, const Run& run,
                       AttentionWeights* weights = nullptr) const;

  /// A cache without tokens, with room for `capacity` of them, and the keys and values of the memory [B, S, width]; real u8 [B, S], 1 for a
  /// real row of it, absent: all are. Under NoGrad.
  LayerCache begin_decoding(const Tensor& memory, const Tensor& real = {}, std::int64_t capacity = 0) const;
  /// As EncoderLayer::decode, with the cache that begin_decoding made. mask: of self-attention.
  Tensor decode(const Tensor& x, LayerCache& cache, const AttentionMask& mask, const Run& run) const;
  Residual::State decode_step(const Residual::State& x, LayerCache& cache, const AttentionMask& mask, const LayerNorm* next,
                              const Run& run) const;
  const Residual& residual() const { return self_attention_.residual(); }  ///< the first sublayer's
  const AttentionSublayer& self_attention() const { return self_attention_; }
  const AttentionSublayer& cross_attention() const { return cross_attention_; }
  const FeedForwardSublayer& feed_forward() const { return feed_forward_; }

 private:
  AttentionSublayer self_attention_, cross_attention_;
  FeedForwardSublayer feed_forward_;
};

/// The tensors in a decoder's inputs that may have a gradient.
inline std::vector<Tensor*> differentiable(DecoderInputs& in) {
  std::vector<Tensor*> out{&in.memory};
  for (AttentionMask* mask : {&in.mask, &in.memory_mask}) {
    const std::vector<Tensor*> of_mask = differentiable(*mask);
    out.insert(out.end(), of_mask.begin(), of_mask.end());
  }
  return out;
}

}  // namespace capstan::nn
