#pragma once
// A linear layer: y = x W^T + b with W [out, in]. The bias does not decay.

#include <cstdint>

#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct LinearOptions {
  std::int64_t in = 0, out = 0;
  bool bias = true;
  Initializer init = glorot_uniform();
  Initializer bias_init = zeros();
};

class Linear {
 public:
  Linear(const Scope& scope, const LinearOptions& options);

  /// x [..., in] -> [..., out], in x's element type.
  Tensor operator()(const Tensor& x) const;
  /// x W^T, for callers that fuse the bias into what comes next.
  Tensor without_bias(const Tensor& x) const;

  const Parameter& weight() const { return weight_; }
  const Parameter& bias() const { return bias_; }  ///< undefined without one

 private:
  Parameter weight_, bias_;
};

}  // namespace capstan::nn
