#pragma once
// ConvNorm: a convolution without bias, its batch normalisation, and what follows in the same pass: y = relu(norm(conv(x)) + residual).
//
// Where the running statistics are what is used (out of training, and frozen), normalisation is a scale and an offset for each channel: the
// scale is multiplied into the weights and the offset is the bias of the convolution, so it costs no pass of its own.

#include "nn/conv.h"
#include "nn/image_normalization.h"

namespace capstan::nn {

struct ConvNormOptions {
  Conv2dOptions conv = {};  ///< `bias` is not read: there is none
  BatchNorm2dOptions norm = {};
};

class ConvNorm {
 public:
  /// The two have scopes of their own.
  ConvNorm(const Scope& conv, const Scope& norm, const ConvNormOptions& options);

  /// x [B, in, H, W] -> [B, out, H', W'].
  Tensor operator()(const Tensor& x, const Run& run, const NormFollower& follower = {}) const;

 private:
  Conv2d conv_;
  BatchNorm2d norm_;
};

}  // namespace capstan::nn
