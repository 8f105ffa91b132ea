#pragma once
// Convolution layers over images [B, C, H, W]: plain, and with standardised weights (Qiao et al., "Micro-batch training with batch-channel
// normalization and weight standardization", 2019), as ResNetV2 with group normalisation has them.
//
// Parameters: weight [out, in / groups, kernel, kernel], bias [out]. The bias does not decay.

#include <array>
#include <cstdint>

#include "autograd/ops/conv.h"
#include "autograd/ops/image_normalization.h"
#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

/// What surrounds an image, with zeros.
struct Padding {
  bool same = false;        ///< as much as gives ceil(size / stride) places; an odd number has its extra position after
  std::int64_t amount = 0;  ///< otherwise: positions on each side
};
inline Padding padding(std::int64_t amount) { return {.amount = amount}; }
inline Padding same_padding() { return {.same = true}; }
/// The window of a square kernel over images of a size.
Window window_over(const Shape& images, std::int64_t kernel, std::int64_t stride, const Padding& padding, std::int64_t dilation = 1);

struct Conv2dOptions {
  std::int64_t in = 0, out = 0;  ///< channels
  std::int64_t kernel = 1;       ///< height and width
  std::int64_t stride = 1, dilation = 1;
  std::int64_t groups = 1;  ///< parts of the channels that are convolved by themselves
  Padding padding = {};
  bool bias = true;
  Initializer init = he_normal();
  Initializer bias_init = zeros();
};

class Conv2d {
 public:
  /// Throws ConfigError if the groups do not divide in and out.
  Conv2d(const Scope& scope, const Conv2dOptions& options);

  /// images [B, in, H, W] -> [B, out, H', W'].
  Tensor operator()(const Tensor& images) const;
  /// The same with these in the place of the parameters: weights like them, bias [out] or none.
  Tensor with(const Tensor& images, const Tensor& weight, const Tensor& bias) const;

  const Parameter& weight() const { return weight_; }
  const Parameter& bias() const { return bias_; }  ///< undefined without one

 private:
  std::int64_t kernel_, stride_, dilation_, groups_;
  Padding padding_;
  Parameter weight_, bias_;
};

/// How each filter is standardised before use: (w - mean) / sqrt(variance + eps), or / (sqrt(variance) + eps).
struct Standardization {
  double eps = 1e-5;
  DeviationForm form = DeviationForm::root;
};

class StdConv2d {
 public:
  StdConv2d(const Scope& scope, const Conv2dOptions& options, const Standardization& standardization = {});

  /// images [B, in, H, W] -> [B, out, H', W']. The weights are standardised in their own element type.
  Tensor operator()(const Tensor& images) const;

 private:
  Conv2d conv_;
  Standardization standardization_;
};

}  // namespace capstan::nn
