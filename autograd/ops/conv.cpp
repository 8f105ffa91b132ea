#include "autograd/ops/conv.h"

#include "autograd/kernels/conv.h"

namespace capstan {
namespace {

kernels::ConvProblem problem(const Conv2d::Args& args, const Spec& x, const Spec& weight) {
  const auto [height, width] = detail::window_axes(Conv2d::name, x, {weight.shape[2], weight.shape[3]}, args.window);
  return {.dtype = x.dtype,
          .batch = x.shape[0],
          .in_channels = x.shape[1],
          .out_channels = weight.shape[0],
          .groups = args.groups,
          .height = height,
          .width = width};
}

const void* pointer(const Tensor& t) {
  return t.defined() ? t.storage().data() + t.layout().offset() * static_cast<std::int64_t>(size_of(t.dtype())) : nullptr;
}
void* writable(const Tensor& t) { return const_cast<void*>(pointer(t)); }

}  // namespace

Spec Conv2d::spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias) {
  const bool has_bias = bias.shape.rank() != 0;
  require<DTypeError>(is_floating(x.dtype) && x.dtype == weight.dtype && (!has_bias || x.dtype == bias.dtype), name,
                      ": needs operands of one floating type: x ", x, ", weight ", weight, ", bias ", has_bias ? to_text(bias) : "none");
  require(x.shape.rank() == 4 && weight.shape.rank() == 4, name, ": needs x [B, C, H, W] and weight [O, C / groups, KH, KW]: x ", x,
          ", weight ", weight);
  require(weight.shape[0] > 0 && weight.shape[1] > 0, name, ": weight must have channels: weight ", weight);
  require(args.groups > 0 && x.shape[1] == args.groups * weight.shape[1] && weight.shape[0] % args.groups == 0, name,
          ": axis 1 of x must be groups times axis 1 of weight, and groups divide axis 0 of weight: x ", x, ", weight ", weight,
          ", groups ", args.groups);
  require(!has_bias || bias.shape == Shape{weight.shape[0]}, name, ": bias must be [O]: weight ", weight, ", bias ", bias);
  const kernels::ConvProblem p = problem(args, x, weight);
  return {Shape{p.batch, p.out_channels, p.height.out(), p.width.out()}, x.dtype};
}

Tensor Conv2d::forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias, Saved& saved) {
  saved = {x.contiguous(), weight.contiguous()};
  const Tensor y(spec(args, x.spec(), weight.spec(), bias.spec())), b = bias.defined() ? bias.contiguous() : bias;
  kernels::conv2d(problem(args, x.spec(), weight.spec()), pointer(saved.x), pointer(saved.weight), pointer(b), writable(y));
  return y;
}

// y is a sum of products x[i] w[k], so dx[i] sums dy w[k] and dw[k] sums dy x[i] over the elements of y they are part of; db sums dy over
// images and places.
Grads<3> Conv2d::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  const kernels::ConvProblem p = problem(args, saved.x.spec(), saved.weight.spec());
  const Tensor g = dy.contiguous();
  Grads<3> grads;
  if (needs[0]) {
    const Tensor dx(saved.x.spec());
    kernels::conv2d_backward_data(p, pointer(g), pointer(saved.weight), writable(dx));
    grads[0] = dx;
  }
  if (needs[1] || needs[2]) {
    const Tensor dweight(saved.weight.spec()), dbias = needs[2] ? Tensor(Shape{p.out_channels}, p.dtype) : Tensor{};
    kernels::conv2d_backward_weights(p, pointer(saved.x), pointer(g), writable(dweight), writable(dbias));
    if (needs[1]) grads[1] = dweight;
    if (needs[2]) grads[2] = dbias;
  }
  return grads;
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2d::Args& args) {
  return apply<Conv2d>(args, x, weight, bias);
}

}  // namespace capstan
