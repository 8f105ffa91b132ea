#include "autograd/ops/pool.h"

#include "autograd/kernels/pool.h"
#include "autograd/ops/image_order.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

kernels::PoolProblem problem(std::string_view op, const std::array<std::int64_t, 2>& kernel, const Window& window, const Spec& x,
                             bool channels_last = false) {
  const auto [height, width] = window_axes(op, x, kernel, window);
  const std::int64_t channels = channels_last ? x.shape[1] : 1;
  return {.planes = x.shape[0] * x.shape[1] / channels, .height = height, .width = width, .channels = channels};
}

// A window over padding alone has no largest element and no average.
Spec check(std::string_view op, const std::array<std::int64_t, 2>& kernel, const Window& window, const Spec& x) {
  const kernels::PoolProblem p = problem(op, kernel, window, x);
  for (const kernels::WindowAxis* a : {&p.height, &p.width})
    for (std::int64_t place = 0; place < a->out(); ++place) {
      bool any = false;
      for (std::int64_t tap = 0; tap < a->kernel; ++tap) any = any || a->inside(a->at(place, tap));
      require(any, op, ": no window may lie in the padding: x ", x, ", kernel ", a->kernel, ", dilation ", a->dilation, ", padding ",
              a->before, " and ", a->after);
    }
  return {Shape{x.shape[0], x.shape[1], p.height.out(), p.width.out()}, x.dtype};
}

}  // namespace

Spec MaxPool2d::spec(const Args& args, const Spec& x) { return check(name, args.kernel, args.window, x); }

Tensor MaxPool2d::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  const bool last = x.numel() > 0 && has_channels_last(x);
  const Tensor from = in_order(x, last), y = new_image(call.out, last);
  saved = {new_image({y.shape(), DType::i32}, last), x.spec(), last};
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::max_pool2d(problem(name, args.kernel, args.window, x.spec(), last), from.data<const T>(), y.data<T>(),
                        saved.positions.data<std::int32_t>());
  });
  return y;
}

// y[j] = x[place of j], so dx[i] sums dy[j] over the j whose place is i.
Grads<1> MaxPool2d::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  const Tensor g = in_order(dy, saved.channels_last), dx = new_image(saved.x, saved.channels_last);
  dispatch_floating(name, g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::max_pool2d_backward(problem(name, args.kernel, args.window, saved.x, saved.channels_last), g.data<const T>(),
                                 saved.positions.data<const std::int32_t>(), dx.data<T>());
  });
  return {dx};
}

Spec AvgPool2d::spec(const Args& args, const Spec& x) { return check(name, args.kernel, args.window, x); }

Tensor AvgPool2d::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  const Tensor from = dense(x), y(call.out);
  saved = {x.spec()};
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::avg_pool2d(problem(name, args.kernel, args.window, x.spec()), args.count_padding, from.data<const T>(), y.data<T>());
  });
  return y;
}

// y[j] = sum of x[i] / n[j] over the i under window j, so dx[i] sums dy[j] / n[j] over the windows that hold i.
Grads<1> AvgPool2d::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  const Tensor g = dense(dy), dx(saved.x);
  dispatch_floating(name, g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::avg_pool2d_backward(problem(name, args.kernel, args.window, saved.x), args.count_padding, g.data<const T>(), dx.data<T>());
  });
  return {dx};
}

}  // namespace ops
}  // namespace capstan
