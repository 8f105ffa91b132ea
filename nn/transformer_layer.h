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

#include <cstdint>
#include <optional>
#include <vector>

#include "nn/sublayer.h"

namespace capstan::nn {

/// Of encoder and decoder layers.
struct TransformerLayerOptions {
  std::int64_t width = 0, heads = 1, inner = 0;
  Activation activation = Activation::gelu;
  bool pre_norm = false;
  double dropout = 0;             ///< of the sublayers' results
  double attention_dropout = 0;   ///< of the attention probabilities
  double activation_dropout = 0;  ///< inside the feed-forward layer
  double stochastic_depth = 0;    ///< rate at which a sample goes without a branch; in a stack the last layer's (transformer_stack.h)
  double epsilon = 1e-5;          ///< of the normalisations
  bool bias = true;               ///< of all projections and normalisations
  RelativePositions relative = RelativePositions::none;  ///< of self-attention
  std::int64_t max_length = 0;                           ///< longest sequence, for relative positions
  Initializer init = glorot_uniform();                   ///< of the attention's weights
  std::optional<Initializer> feed_forward_init = {};     ///< of the feed-forward layer's weights; none: init
  Initializer feed_forward_bias_init = zeros();
};

// What the sublayers of a layer are built from.
AttentionOptions attention_options(const TransformerLayerOptions& options);
FeedForwardOptions feed_forward_options(const TransformerLayerOptions& options);
ResidualOptions residual_options(const TransformerLayerOptions& options);

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
  const Residual& residual() const { return attention_.residual(); }  ///< the first sublayer's

 private:
  AttentionSublayer attention_;
  FeedForwardSublayer feed_forward_;
};

/// The tensors in a mask that may have a gradient.
inline std::vector<Tensor*> differentiable(AttentionMask& mask) { return {&mask.mask}; }

}  // namespace capstan::nn
