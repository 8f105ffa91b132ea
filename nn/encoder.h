#pragma once
// A stack of pre-norm encoder layers with a normalisation at the end: what a vision transformer has between tokens and head.
//     each layer: x = x + depth(dropout(attention(LN(x))));  x = x + depth(dropout(feed_forward(LN(x))))
//     result: LN(x)
// The normalisation that begins a sublayer is computed in the same pass as the sum that ends the one before. A single layer, also
// post-norm, is EncoderLayer (transformer.h); its parameters have the same names.

#include <cstdint>
#include <vector>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/stochastic_depth.h"

namespace capstan::nn {

struct EncoderOptions {
  std::int64_t width = 0, heads = 1, inner = 0, layers = 0;
  Activation activation = Activation::gelu;
  double dropout = 0;                                ///< of both sublayers' results, and inside the feed-forward layer
  double attention_dropout = 0;                      ///< of the attention probabilities
  double stochastic_depth = 0;                       ///< of the last layer's branches; earlier layers less, linearly to 0
  double epsilon = 1e-5;                             ///< of the normalisations
  Initializer init = glorot_uniform();               ///< of the attention's weights
  Initializer feed_forward_init = glorot_uniform();  ///< of the feed-forward layers' weights
  Initializer feed_forward_bias_init = zeros();
  bool checkpoint = false;  ///< compute each layer again in backward instead of keeping its activations (autograd/tape/checkpoint.h)
};

class Encoder {
 public:
  Encoder(const Scope& scope, const EncoderOptions& options);

  /// x [B, T, width] -> the same shape, normalised.
  Tensor operator()(const Tensor& x, const Run& run) const { return pass(x, run, Rows::all, nullptr); }
  /// Row 0 of the same: [B, width]. The last layer then computes keys and values of all rows, and everything else, which is
  /// most of a layer's work, of that row alone.
  Tensor first_token(const Tensor& x, const Run& run) const;

  struct WithWeights {
    Tensor output;                // [B, T, width]
    std::vector<Tensor> weights;  // of each layer [B, heads, T, T]: the probabilities before dropout, constants
  };
  WithWeights with_weights(const Tensor& x, const Run& run) const;

 private:
  struct Layer {
    Layer(const Scope& scope, const EncoderOptions& options, std::int64_t index);
    MultiHeadAttention attention;
    LayerNorm attention_norm;
    FeedForward feed_forward;
    LayerNorm feed_forward_norm;
    Dropout attention_result_dropout, feed_forward_result_dropout;
    StochasticDepth attention_depth, feed_forward_depth;
  };
  static std::vector<Layer> make_layers(const Scope& scope, const EncoderOptions& options);
  enum class Rows { all, first };  ///< whose results are wanted
  /// A layer, and then `next`: x.normalized is the layer's own normalisation of x.sum.
  LayerNorm::Sum step(const Layer& layer, const LayerNorm& next, const LayerNorm::Sum& x, const Run& run, Rows rows,
                      const Tensor& key_ids, std::vector<Tensor>* weights) const;
  static Run run_of_first(const Tensor& x, const Run& run);
  Tensor pass(const Tensor& x, const Run& run, Rows rows, std::vector<Tensor>* weights) const;

  std::vector<Layer> layers_;
  LayerNorm norm_;
  bool checkpoint_;
};

}  // namespace capstan::nn
