#pragma once
// The position-wise feed-forward layer of a transformer: outer(dropout(activation(inner(x)))).

#include <cstdint>

#include "autograd/ops/activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/run.h"

namespace capstan::nn {

struct FeedForwardOptions {
  std::int64_t width = 0, inner = 0;
  Activation activation = Activation::gelu;
  double dropout = 0;  ///< between the two layers; what follows the second belongs to the block
  bool bias = true;    ///< of both layers
  Initializer init = glorot_uniform();
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
  Activation activation() const { return activation_; }

 private:
  Tensor hidden(const Tensor& x, const Run& run) const;

  Linear inner_, outer_;
  Activation activation_;
  Dropout dropout_;
};

}  // namespace capstan::nn
