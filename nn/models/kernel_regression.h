#pragma once
// Nadaraya-Watson kernel regression (1964): attention without a network. The value at x is the mean of the values at known points, weighted
// by a Gaussian kernel of the distance:
//
//     a_i = softmax_i(-((x - x_i) w)^2 / 2),  f(x) = sum a_i y_i
//
// The non-parametric form has w = 1; the parametric one learns it, starting uniform in [0, 1): one over the width of the kernel.
// Parameter: "inverse_width" [1].

#include <cstdint>

#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

class KernelRegression {
 public:
  explicit KernelRegression(const Scope& scope);

  enum class Form : std::uint8_t { nonparametric, parametric };
  struct Result {
    Tensor values;   ///< [Q]
    Tensor weights;  ///< [Q, N], rows sum to 1
  };
  /// queries [Q]; keys and values [N], or [Q, N] where every query has points of its own.
  Result operator()(const Tensor& queries, const Tensor& keys, const Tensor& values, Form form = Form::parametric) const;

  const Parameter& inverse_width() const { return inverse_width_; }

 private:
  Parameter inverse_width_;
};

}  // namespace capstan::nn
