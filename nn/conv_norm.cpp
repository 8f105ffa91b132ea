#include "nn/conv_norm.h"

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

Conv2dOptions without_bias(Conv2dOptions o) {
  o.bias = false;
  return o;
}

}  // namespace

ConvNorm::ConvNorm(const Scope& conv, const Scope& norm, const ConvNormOptions& options)
    : conv_(conv, without_bias(options.conv)), norm_(norm, options.norm) {}

Tensor ConvNorm::operator()(const Tensor& x, const Run& run, const NormFollower& follower) const {
  if (norm_.normalizes_by_batch(run)) return norm_(conv_(x), run, follower);
  const ChannelAffine affine = norm_.running();
  const Tensor weight = mul(conv_.weight().value(), reshape(affine.scale, {affine.scale.numel(), 1, 1, 1}));  // [O, C, K, K]
  return followed(conv_.with(x, cast(weight, x.dtype()), cast(affine.shift, x.dtype())), follower);
}

}  // namespace capstan::nn
