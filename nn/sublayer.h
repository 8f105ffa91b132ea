#pragma once
// A sublayer of a transformer: attention or a feed-forward layer, and the residual connection around it. What layers are made of
// (transformer_layer.h, decoder_layer.h); a model uses those.
//     post-norm   y = LN(x + depth(dropout(f(x))))      one pass after f
//     pre-norm    y = x + depth(dropout(f(LN(x))))      the sum, and the normalisation that begins the next sublayer, are one pass
//
// For a sublayer at scope / name the parameters are name/... and name_norm/{weight, bias}; the decisions of dropout and stochastic depth
// belong to the places name_result_dropout and name_depth.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/stochastic_depth.h"

namespace capstan::nn {

/// What the sublayers of an encoder or decoder layer are built from.
struct TransformerLayerOptions {
  std::int64_t width = 0, heads = 1, inner = 0;
  std::int64_t key_value_heads = 0;  ///< a divisor of heads; 0: as many
  std::int64_t head_width = 0;       ///< 0: width / heads
  Activation activation = Activation::gelu;
  std::optional<Gate> gate = {};  ///< of a gated feed-forward layer, which has no activation beside it
  NormKind norm = NormKind::layer;
  bool pre_norm = false;
  double dropout = 0;             ///< of the sublayers' results
  double attention_dropout = 0;   ///< of the attention probabilities
  double activation_dropout = 0;  ///< inside the feed-forward layer
  double stochastic_depth = 0;    ///< rate at which a sample of a padded batch goes without a branch; in a stack that of the last layer
  double epsilon = 1e-5;          ///< of the normalisations
  bool bias = true;               ///< of all projections and of layer normalisations
  RelativePositions relative = RelativePositions::none;     ///< of self-attention
  std::int64_t max_length = 0;                              ///< longest sequence, for relative positions
  double rotary_base = 0;                                   ///< of rotary positions of self-attention; 0: none
  Initializer init = glorot_uniform();                      ///< of the attention's weights
  std::optional<Initializer> projection_init = {};          ///< of the weights of query, key and value; none: init
  std::optional<Initializer> feed_forward_init = {};        ///< of the feed-forward layer's weights; none: init
  std::optional<Initializer> feed_forward_outer_init = {};  ///< of those of its outer layer; none: feed_forward_init
  Initializer feed_forward_bias_init = zeros();
};

/// A residual connection with its normalisation.
class Residual {
 public:
  /// The values between two sublayers, of one shape.
  struct State {
    Tensor input;  ///< what the next sublayer reads
    Tensor sum;    ///< pre-norm: the sum that its result is added to, input being its normalisation; undefined: that is input itself
    const Tensor& residual() const { return sum.defined() ? sum : input; }
  };
  /// The result of a sublayer. `bias` is added here if it is defined.
  struct Branch {
    Tensor result, bias;
  };

  Residual(const Scope& scope, const std::string& name, const TransformerLayerOptions& options);

  /// x as a first sublayer with this connection reads it.
  State begin(const Tensor& x) const { return pre_norm_ ? State{norm_(x), x} : State{x, {}}; }
  /// Adds a branch. Pre-norm: `next` is the normalisation of what follows; nullptr if nothing does, then input is the sum.
  State add_branch(Branch branch, const Tensor& residual, const LayerNorm* next, const Run& run) const;

  const LayerNorm& norm() const { return norm_; }
  bool pre_norm() const { return pre_norm_; }

 private:
  LayerNorm norm_;
  Dropout dropout_;
  StochasticDepth depth_;
  bool pre_norm_;
};

/// The probabilities of attention in the order of computation, each [B, H, T, S], before dropout, constants to look at.
using AttentionWeights = std::vector<Tensor>;

class AttentionSublayer {
 public:
  AttentionSublayer(const Scope& scope, const std::string& name, const TransformerLayerOptions& options);

  /// x.input [B, T, width] attends to `keys` [B, S, width], of which keys and values are made, or packed [N, width]; undefined: to x.input
  /// itself. Weights, where they are wanted (not nullptr), are of padded batches.
  Residual::State operator()(const Residual::State& x, const Tensor& keys, const AttentionMask& mask, const LayerNorm* next, const Run& run,
                             AttentionWeights* weights) const;
  /// Causal self-attention with a cache: x.input [B, n, width] are the next tokens of each sequence, mask.keys [B, n] says which are real.
  Residual::State decode(const Residual::State& x, KeyValueCache& cache, const AttentionMask& mask, const LayerNorm* next,
                         const Run& run) const;
  /// Appends the keys and values of a memory [B, S, width] to a cache; real u8 [B, S]. Under NoGrad.
  void extend(KeyValueCache& cache, const Tensor& memory, const Tensor& real) const { attention_.extend(cache, memory, memory, real); }
  /// Attention of x.input [B, n, width] to the memory in a cache.
  Residual::State attend(const Residual::State& x, const KeyValueCache& cache, const LayerNorm* next, const Run& run) const;
  const Residual& residual() const { return residual_; }
  const MultiHeadAttention& attention() const { return attention_; }

 private:
  /// Adds what attention without its output bias gave.
  Residual::State add_result(Tensor result, const Residual::State& x, const LayerNorm* next, const Run& run) const;

  MultiHeadAttention attention_;
  Residual residual_;
};

class FeedForwardSublayer {
 public:
  FeedForwardSublayer(const Scope& scope, const std::string& name, const TransformerLayerOptions& options);

  /// x [..., width].
  Residual::State operator()(const Residual::State& x, const LayerNorm* next, const Run& run) const;
  const Residual& residual() const { return residual_; }
  const FeedForward& feed_forward() const { return feed_forward_; }

 private:
  FeedForward feed_forward_;
  Residual residual_;
};

}  // namespace capstan::nn
