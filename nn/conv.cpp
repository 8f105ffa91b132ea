#include "nn/conv.h"

#include "autograd/ops/elementwise.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

const Conv2dOptions& checked(const Scope& scope, const Conv2dOptions& o) {
  require<ConfigError>(o.groups > 0 && o.in % o.groups == 0 && o.out % o.groups == 0, scope.path(),
                       ": the groups must divide the channels: in ", o.in, ", out ", o.out, ", groups ", o.groups);
  return o;
}

}  // namespace

Window window_over(const Shape& images, std::int64_t kernel, std::int64_t stride, const Padding& padding, std::int64_t dilation) {
  return padding.same ? same_window(images[-2], images[-1], {kernel, kernel}, stride, dilation)
                      : square_window(stride, padding.amount, dilation);
}

Conv2d::Conv2d(const Scope& scope, const Conv2dOptions& o)
    : kernel_(checked(scope, o).kernel),
      stride_(o.stride),
      dilation_(o.dilation),
      groups_(o.groups),
      padding_(o.padding),
      weight_(scope.parameter("weight", {o.out, o.in / o.groups, o.kernel, o.kernel}, o.init)),
      bias_(o.bias ? scope.parameter("bias", {o.out}, o.bias_init, {.decay = false}) : Parameter()) {}

Tensor Conv2d::operator()(const Tensor& images) const { return with(images, weight_for(weight_, images), weight_for(bias_, images)); }

Tensor Conv2d::with(const Tensor& images, const Tensor& weight, const Tensor& bias) const {
  return conv2d(images, weight, bias, {.window = window_over(images.shape(), kernel_, stride_, padding_, dilation_), .groups = groups_});
}

StdConv2d::StdConv2d(const Scope& scope, const Conv2dOptions& options, const Standardization& standardization)
    : conv_(scope, options), standardization_(standardization) {}

Tensor StdConv2d::operator()(const Tensor& images) const {
  const Tensor weight = standardize_weight(conv_.weight().value(), standardization_.eps, standardization_.form);
  return conv_.with(images, cast(weight, images.dtype()), weight_for(conv_.bias(), images));
}

}  // namespace capstan::nn
