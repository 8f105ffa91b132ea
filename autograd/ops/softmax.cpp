#include "autograd/ops/softmax.h"

#include "autograd/kernels/softmax.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

Spec checked_spec(std::string_view op, int axis, const Spec& x, const Spec& mask) {
  check_floating(op, "x", x);
  check_axis(op, x, axis);
  require<DTypeError>(!mask.present || mask.dtype == DType::u8 || mask.dtype == x.dtype, op,
                      ": the mask must be u8 (1 keeps) or of x's type (added): x ", x, ", mask ", mask);
  require(!mask.present || broadcasts_to(mask.shape, x.shape), op, ": the mask must broadcast to x: x ", x, ", mask ", mask);
  return x;
}

// The same tensor with `axis` and the last axis exchanged.
Tensor axis_last(const Tensor& t, int axis) { return t.view(t.layout().transpose(axis, -1)); }

template <class T>
kernels::RowMask<T> row_mask(const Tensor& mask, const Shape& shape, int axis) {
  if (!mask.defined()) return {};
  const Tensor expanded = axis_last(mask.view(mask.layout().expand(shape)), axis);
  if (mask.dtype() == DType::u8) return {.keep = expanded.data<const std::uint8_t>(), .layout = expanded.layout()};
  return {.add = expanded.data<const T>(), .layout = expanded.layout()};
}

// The forward pass of both; the result has the axis last.
template <class Kernel>
Tensor run_forward(int axis, const Tensor& x, const Tensor& mask, Kernel&& kernel) {
  const Tensor rows = dense(axis_last(x, axis)), y(rows.spec());
  dispatch_floating("softmax", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernel(rows.data<const T>(), row_mask<T>(mask, x.shape(), axis), y.data<T>(), rows_of(rows), rows.size(-1));
  });
  return y;
}

template <class Kernel>
Grads<2> run_backward(int axis, const Tensor& y, const Tensor& dy, Needs<2> needs, Kernel&& kernel) {
  const Tensor g = dense(axis_last(dy, axis));
  const Tensor dx(y.spec());
  dispatch_floating("softmax", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernel(y.data<const T>(), g.data<const T>(), dx.data<T>(), rows_of(y), y.size(-1));
  });
  const Tensor result = axis_last(dx, axis);
  return {needs[0] ? Gradient(result) : Gradient{}, needs[1] ? Gradient(result) : Gradient{}};  // x + mask: the same gradient
}

}  // namespace

Spec Softmax::spec(const Args& args, const Spec& x, const Spec& mask) { return checked_spec(name, args.axis, x, mask); }

Tensor Softmax::forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>& call, Saved& saved) {
  const Tensor y = run_forward(args.axis, x, mask, [](auto&&... a) { kernels::softmax(a...); });
  if (call.records()) saved.y = y;
  return axis_last(y, args.axis);
}

// y_i = e^{x_i} / Z, so dy_i/dx_j = y_i (delta_ij - y_j) and dx = y (dy - sum(dy y)).
Grads<2> Softmax::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs) {
  return run_backward(args.axis, saved.y, dy, needs, [](auto&&... a) { kernels::softmax_backward(a...); });
}

Spec LogSoftmax::spec(const Args& args, const Spec& x, const Spec& mask) { return checked_spec(name, args.axis, x, mask); }

Tensor LogSoftmax::forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>& call, Saved& saved) {
  const Tensor y = run_forward(args.axis, x, mask, [](auto&&... a) { kernels::log_softmax(a...); });
  if (call.records()) saved.y = y;
  return axis_last(y, args.axis);
}

// y_i = x_i - log Z, so dy_i/dx_j = delta_ij - e^{y_j} and dx = dy - e^y sum(dy).
Grads<2> LogSoftmax::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs) {
  return run_backward(args.axis, saved.y, dy, needs, [](auto&&... a) { kernels::log_softmax_backward(a...); });
}

}  // namespace ops

Tensor softmax(const Tensor& x, int axis, const Tensor& mask) { return apply<ops::Softmax>({.axis = axis}, x, mask); }
Tensor log_softmax(const Tensor& x, int axis, const Tensor& mask) { return apply<ops::LogSoftmax>({.axis = axis}, x, mask); }

}  // namespace capstan
