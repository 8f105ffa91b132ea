#include "autograd/ops/conv.h"

#include "autograd/kernels/conv.h"
#include "autograd/ops/image_order.h"
#include "autograd/ops/operands.h"
#include "autograd/ops/shape_ops.h"

namespace capstan {
namespace ops {
namespace {

kernels::ConvProblem problem(const Conv2d::Args& args, const Spec& x, const Spec& weight, bool channels_last = false) {
  const auto [height, width] = window_axes(Conv2d::name, x, {weight.shape[2], weight.shape[3]}, args.window);
  return {.dtype = x.dtype,
          .batch = x.shape[0],
          .in_channels = x.shape[1],
          .out_channels = weight.shape[0],
          .groups = args.groups,
          .channels_last = channels_last,
          .height = height,
          .width = width};
}

}  // namespace

Spec Conv2d::spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias) {
  require<DTypeError>(is_floating(x.dtype) && x.dtype == weight.dtype, name, ": needs operands of one floating type: x ", x, ", weight ",
                      weight, ", bias ", bias);
  require(x.shape.rank() == 4 && weight.shape.rank() == 4, name, ": needs x [B, C, H, W] and weight [O, C / groups, KH, KW]: x ", x,
          ", weight ", weight);
  require(weight.shape[0] > 0 && weight.shape[1] > 0, name, ": weight must have channels: weight ", weight);
  require(args.groups > 0 && x.shape[1] == args.groups * weight.shape[1] && weight.shape[0] % args.groups == 0, name,
          ": axis 1 of x must be groups times axis 1 of weight, and groups divide axis 0 of weight: x ", x, ", weight ", weight,
          ", groups ", args.groups);
  check_vector(name, {"bias", bias}, weight.shape[0], {"weight", weight});
  const kernels::ConvProblem p = problem(args, x, weight);
  return {Shape{p.batch, p.out_channels, p.height.out(), p.width.out()}, x.dtype};
}

Tensor Conv2d::forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias, const Call<3>& call, Saved& saved) {
  const bool last = has_channels_last(x);
  const Tensor from = in_order(x, last), filters = dense(weight), y = new_image(call.out, last);
  saved = {.x = call.needs[1] || call.needs[2] ? from : Tensor{},
           .weight = call.needs[0] ? filters : Tensor{},
           .x_spec = x.spec(),
           .weight_spec = weight.spec(),
           .channels_last = last};
  kernels::conv2d(problem(args, x.spec(), weight.spec(), last), raw_pointer(from), raw_pointer(filters), raw_pointer(dense(bias)),
                  raw_pointer(y));
  return y;
}

// y is a sum of products x[i] w[k], so dx[i] sums dy w[k] and dw[k] sums dy x[i] over the elements of y they are part of; db sums dy over
// images and places.
Grads<3> Conv2d::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  const kernels::ConvProblem p = problem(args, saved.x_spec, saved.weight_spec, saved.channels_last);
  const DType sum = compute_type(p.dtype);
  const Tensor g = in_order(dy, saved.channels_last), dx = new_image_if(needs[0], saved.x_spec, saved.channels_last),
               dweight = new_if(needs[1] || needs[2], {saved.weight_spec.shape, sum}),
               dbias = new_if(needs[2], {Shape{p.out_channels}, sum});
  if (needs[0]) kernels::conv2d_backward_data(p, raw_pointer(g), raw_pointer(saved.weight), raw_pointer(dx));
  if (needs[1] || needs[2])
    kernels::conv2d_backward_weights(p, raw_pointer(saved.x), raw_pointer(g), raw_pointer(dweight), raw_pointer(dbias));
  return {dx, needs[1] ? dweight : Tensor{}, dbias};
}

}  // namespace ops

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ops::Conv2d::Args& args) {
  return apply<ops::Conv2d>(args, x, weight, bias);
}

Tensor channels_last(const Tensor& x) {
  require(x.rank() == 4, "channels_last: x must be [B, C, H, W]: x ", x);
  return permute(contiguous(permute(x, {0, 2, 3, 1})), {0, 3, 1, 2});
}

}  // namespace capstan
