#pragma once
// RMS normalisation over the last axis with a learned gain ("weight"), which does not decay: layer normalisation without mean and offset.

#include <cstdint>

#include "nn/parameter_store.h"

namespace capstan::nn {

struct RmsNormOptions {
  std::int64_t width = 0;  ///< of the last axis
  double epsilon = 1e-6;   ///< inside the root
};

class RmsNorm {
 public:
  RmsNorm(const Scope& scope, const RmsNormOptions& options);

  /// x [..., width] -> the same shape.
  Tensor operator()(const Tensor& x) const;

  const Parameter& weight() const { return weight_; }

 private:
  Parameter weight_;  // [width]
  double epsilon_;
};

}  // namespace capstan::nn
