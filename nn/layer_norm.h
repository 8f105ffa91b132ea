#pragma once
// Normalisation over the last axis with a learned gain ("weight") and offset ("bias"); neither decays. It is layer normalisation, or RMS
// normalisation, which is the same without the mean and usually without the offset (autograd/ops/normalization.h).

#include <cstdint>

#include "autograd/ops/normalization.h"
#include "nn/dropout.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

struct LayerNormOptions {
  std::int64_t width = 0;  ///< of the last axis
  double epsilon = 1e-5;   ///< inside the root
  bool bias = true;
  NormKind kind = NormKind::layer;
};

class LayerNorm {
 public:
  LayerNorm(const Scope& scope, const LayerNormOptions& options);

  /// x [..., width] -> the same shape.
  Tensor operator()(const Tensor& x) const;
  /// The normalisation of (residual + dropout(x + bias)) in one pass: the end of a post-norm block. `bias` [width] of x's type belongs to
  /// the layer that made x and may be undefined.
  Tensor after_residual(const Tensor& x, const Tensor& bias, const Tensor& residual, const Dropout& dropout, const Run& run) const;
  struct Sum {
    Tensor normalized, sum;
  };
  /// The same, with residual + dropout(x + bias) itself: between two pre-norm blocks.
  Sum after_residual_with_sum(const Tensor& x, const Tensor& bias, const Tensor& residual, const Dropout& dropout, const Run& run) const;

  const Parameter& weight() const { return weight_; }
  const Parameter& bias() const { return bias_; }  ///< undefined without one
  double epsilon() const { return epsilon_; }
  NormKind kind() const { return kind_; }

 private:
  DropoutNormOptions options(const Dropout& dropout, const Run& run) const;

  Parameter weight_, bias_;  // [width]
  double epsilon_;
  NormKind kind_;
};

}  // namespace capstan::nn
