#pragma once
// The encoder layer of a transformer (Vaswani et al. 2017), with normalisation after each residual sum (post-norm: BERT) or before each
// sublayer (pre-norm: ViT):
//     post   x = LN(x + dropout(attention(x)));  y = LN(x + dropout(feed_forward(x)))
//     pre    x = x + dropout(attention(LN(x)));  y = x + dropout(feed_forward(LN(x)))

#include <cstdint>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"

namespace capstan::nn {

struct EncoderLayerOptions {
  std::int64_t width = 0, heads = 1, inner = 0;
  Activation activation = Activation::gelu;
  bool pre_norm = false;
  double dropout = 0;             ///< of both sublayers' results
  double attention_dropout = 0;   ///< of the attention probabilities
  double activation_dropout = 0;  ///< inside the feed-forward layer
  double epsilon = 1e-5;          ///< of the normalisations
  RelativePositions relative = RelativePositions::none;
  std::int64_t max_length = 0;  ///< longest sequence, for relative positions
  Initializer init = glorot_uniform();
};

class EncoderLayer {
 public:
  EncoderLayer(const Scope& scope, const EncoderLayerOptions& options);

  /// x [B, T, width], or packed [N, width] with mask.cu_seqlens -> the same shape.
  Tensor operator()(const Tensor& x, const AttentionMask& mask, const Run& run) const;

 private:
  MultiHeadAttention attention_;
  LayerNorm attention_norm_;
  FeedForward feed_forward_;
  LayerNorm feed_forward_norm_;
  Dropout attention_result_dropout_, feed_forward_result_dropout_;
  bool pre_norm_;
};

}  // namespace capstan::nn
