#pragma once
// The encoder layer of a transformer (Vaswani et al. 2017): self-attention and a feed-forward layer, each with a residual connection and a
// normalisation after the sum (post-norm: BERT) or before the sublayer (pre-norm: ViT, GPT-2):
//     post   x = LN(x + dropout(attention(x)));  y = LN(x + dropout(feed_forward(x)))
//     pre    x = x + dropout(attention(LN(x)));  y = x + dropout(feed_forward(LN(x)))
// torch.nn.TransformerEncoderLayer with batch_first; its norm_first is pre_norm, its one dropout three of ours. With a causal mask it is
// the layer of a language model. Layers in a row: transformer_stack.h.
//
// Parameters: attention/{query, key, value, output}, attention_norm, feed_forward/{inner, outer}, feed_forward_norm, each with weight and
// bias.

#include <vector>

#include "nn/decoding_state.h"
#include "nn/sublayer.h"

namespace capstan::nn {

class EncoderLayer {
 public:
  using Inputs = AttentionMask;  ///< what every layer of a stack reads beside x
  EncoderLayer(const Scope& scope, const TransformerLayerOptions& options);

  /// x [B, T, width], or packed [N, width] with mask.cu_seqlens -> the same shape.
  Tensor operator()(const Tensor& x, const AttentionMask& mask, const Run& run) const;

  /// The layer in a stack, from residual().begin(x) or the layer before. Keys and values are made of `keys`, all tokens where x is some of
  /// them; undefined: of x.input. `next`: the normalisation that follows, for pre-norm; nullptr: none.
  Residual::State step(const Residual::State& x, const Tensor& keys, const AttentionMask& mask, const LayerNorm* next, const Run& run,
                       AttentionWeights* weights = nullptr) const;

  /// The causal layer of the next n tokens of each sequence, x [B, n, width] -> [B, n, width], after those in the cache, which then has
  /// these too: what the whole sequences at once give, up to rounding. mask.keys, if any, is [B, n], 1 for a real token: the cache
  /// remembers it; mask and bias are of these queries and all tokens. No gradient: throws GraphError while a tape records. If it
  /// throws for a mask that does not fit, the cache may hold the tokens already (a stack takes them back).
  Tensor decode(const Tensor& x, LayerCache& cache, const AttentionMask& mask, const Run& run) const;
  /// The same in a stack, as step.
  Residual::State decode_step(const Residual::State& x, LayerCache& cache, const AttentionMask& mask, const LayerNorm* next,
                              const Run& run) const;
  const Residual& residual() const { return attention_.residual(); }  ///< the first sublayer's
  const AttentionSublayer& attention() const { return attention_; }
  const FeedForwardSublayer& feed_forward() const { return feed_forward_; }

 private:
  AttentionSublayer attention_;
  FeedForwardSublayer feed_forward_;
};

/// The tensors in a mask that may have a gradient.
inline std::vector<Tensor*> differentiable(AttentionMask& mask) { return {&mask.bias, &mask.query_positions, &mask.key_positions}; }

}  // namespace capstan::nn
