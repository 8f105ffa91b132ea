#pragma once
// A sublayer of a transformer: attention or a feed-forward layer, and the residual connection around it. What layers are made of
// (transformer_layer.h, decoder_layer.h); a model uses those.
//     post-norm   y = LN(x + depth(dropout(f(x))))      one pass after f
//     pre-norm    y = x + depth(dropout(f(LN(x))))      the sum, and the normalisation that begins the next sublayer, are one pass
//
// For a sublayer at scope / name the parameters are name/... and name_norm/{weight, bias}; the decisions of dropout and stochastic depth
// belong to the places name_result_dropout and name_depth.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/stochastic_depth.h"

namespace capstan::nn {

struct ResidualOptions {
  std::int64_t width = 0;
  bool pre_norm = false;
  double dropout = 0;           ///< of the branch
  double stochastic_depth = 0;  ///< rate at which a sample goes without the branch
  double epsilon = 1e-5;        ///< of the normalisation
  bool bias = true;             ///< of the normalisation
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

  Residual(const Scope& scope, const std::string& name, const ResidualOptions& options);

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
  AttentionSublayer(const Scope& scope, const std::string& name, const AttentionOptions& attention, const ResidualOptions& residual)
      : attention_(scope / name, attention), residual_(scope, name, residual) {}

  /// x.input [B, T, width] attends to `memory` [B, S, width], in self-attention x.input itself, or packed. Weights, where they are
  /// wanted (not nullptr), are of padded batches.
  Residual::State operator()(const Residual::State& x, const Tensor& memory, const AttentionMask& mask, const LayerNorm* next,
                             const Run& run, AttentionWeights* weights) const;
  const Residual& residual() const { return residual_; }

 private:
  MultiHeadAttention attention_;
  Residual residual_;
};

class FeedForwardSublayer {
 public:
  FeedForwardSublayer(const Scope& scope, const std::string& name, const FeedForwardOptions& feed_forward, const ResidualOptions& residual)
      : feed_forward_(scope / name, feed_forward), residual_(scope, name, residual) {}

  /// x [..., width].
  Residual::State operator()(const Residual::State& x, const LayerNorm* next, const Run& run) const;
  const Residual& residual() const { return residual_; }

 private:
  FeedForward feed_forward_;
  Residual residual_;
};

}  // namespace capstan::nn
