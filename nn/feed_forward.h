#pragma once
// The position-wise feed-forward layer of a transformer: outer(dropout(activation(inner(x)))), or gated (Shazeer, "GLU variants improve
// transformer", 2020): outer(dropout(silu(gate(x)) * inner(x))), or with gelu_tanh for silu.
//
// Parameters: inner, outer and, gated, gate, each with weight and bias.

#include <cstdint>
#include <optional>

#include "autograd/ops/activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/run.h"

namespace capstan::nn {

struct FeedForwardOptions {
  std::int64_t width = 0, inner = 0;
  Activation activation = Activation::gelu;  ///< not of a gated layer
  std::optional<Gate> gate = {};
  double dropout = 0;  ///< between the two layers; what follows the second belongs to the block
  bool bias = true;    ///< of all layers
  Initializer init = glorot_uniform();
  std::optional<Initializer> outer_init = {};  ///< of the outer layer's weights; none: init
  Initializer bias_init = zeros();
};

class FeedForward {
 public:
  FeedForward(const Scope& scope, const FeedForwardOptions& options);

  /// x [..., width] -> the same shape.
  Tensor operator()(const Tensor& x, const Run& run) const;
  /// Without the outer bias, for callers that fuse it into what comes next.
  Tensor without_bias(const Tensor& x, const Run& run) const;
  const Parameter& bias() const { return outer_.bias(); }  ///< undefined without one

  const Linear& inner() const { return inner_; }
  const Linear& outer() const { return outer_; }
  const Linear* gate() const { return gate_ ? &*gate_ : nullptr; }  ///< nullptr: it is not gated
  Activation activation() const { return activation_; }
  Gate gate_kind() const { return gate_kind_; }  ///< of a gated layer

 private:
  Tensor hidden(const Tensor& x, const Run& run) const;

  Linear inner_, outer_;
  std::optional<Linear> gate_;
  Activation activation_;
  Gate gate_kind_;
  Dropout dropout_;
};

}  // namespace capstan::nn
