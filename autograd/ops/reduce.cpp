#include "autograd/ops/reduce.h"

#include <algorithm>
#include <limits>

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/indexing.h"
#include "autograd/ops/elementwise_op.h"

namespace capstan::ops {
namespace {

// Which axes go, and the shapes with and without them.
struct Axes {
  std::array<bool, kMaxRank> reduced{};
  Shape kept, removed;
  std::int64_t count = 1;  ///< elements that go into one

  Axes(std::string_view op, const Spec& x, std::span<const int> axes) {
    check_floating(op, "x", x);
    const int rank = x.shape.rank();
    for (const int axis : axes) {
      require(axis >= -rank && axis < rank, op, ": there must be such an axis: x ", x, " has ", rank, " axes, axis ", axis);
      bool& flag = reduced[static_cast<std::size_t>(x.shape.normalize(axis))];
      require(!flag, op, ": every axis may be named once: x ", x, ", axis ", axis, " named twice");
      flag = true;
    }
    if (axes.empty()) std::fill_n(reduced.begin(), rank, true);
    kept = removed = x.shape;
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (!reduced[static_cast<std::size_t>(axis)]) continue;
      count *= x.shape[axis];
      kept = kept.with(axis, 1);
      removed = removed.without(axis);
    }
  }

  Shape result(bool keepdim) const { return keepdim ? kept : removed; }
};

Spec reduced_spec(std::string_view op, const Spec& x, std::span<const int> axes, bool keepdim) {
  return {Axes(op, x, axes).result(keepdim), x.dtype};
}

// dy of the result, repeated over the axes that went: a view.
Tensor spread(const Tensor& dy, const Axes& axes, const Shape& from) {
  const Tensor kept = reshaped(dy, axes.kept);
  return kept.view(kept.layout().expand(from));
}

Tensor total(const Tensor& x, const Axes& axes) {
  Tensor y(axes.kept, x.dtype());
  kernels::sum_to_shape(x, y);
  return y;
}

Tensor multiplied(const Tensor& x, double by) { return map_unary(functions::Affine{.scale = by, .shift = 0.0}, x); }

double reciprocal(std::int64_t n) { return n <= 0 ? std::numeric_limits<double>::quiet_NaN() : 1.0 / static_cast<double>(n); }

}  // namespace

// ---- sums ----

Spec Sum::spec(const Args& args, const Spec& x) { return reduced_spec(name, x, args.axes, args.keepdim); }

Tensor Sum::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  saved.from = x.shape();
  const Axes axes(name, x.spec(), args.axes);
  return reshaped(total(x, axes), call.out.shape);
}

// Every element enters its sum once: dx = dy, repeated.
Grads<1> Sum::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  return {spread(dy, Axes(name, {saved.from, dy.dtype()}, args.axes), saved.from)};
}

Spec Mean::spec(const Args& args, const Spec& x) { return reduced_spec(name, x, args.axes, args.keepdim); }

Tensor Mean::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  saved.from = x.shape();
  const Axes axes(name, x.spec(), args.axes);
  return reshaped(multiplied(total(x, axes), reciprocal(axes.count)), call.out.shape);
}

// dx = dy / n, repeated.
Grads<1> Mean::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  const Axes axes(name, {saved.from, dy.dtype()}, args.axes);
  return {spread(multiplied(dy, reciprocal(axes.count)), axes, saved.from)};
}

Spec Variance::spec(const Args& args, const Spec& x) {
  const Axes axes(name, x, args.axes);
  require<ArgumentError>(args.correction >= 0, name, ": the correction must not be negative: ", args.correction);
  require(axes.count > args.correction, name, ": there must be more elements than the correction: x ", x, ", elements ", axes.count,
          ", correction ", args.correction);
  return {axes.result(args.keepdim), x.dtype};
}

Tensor Variance::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  const Axes axes(name, x.spec(), args.axes);
  saved.x = converted(x, x.dtype() == DType::f64 ? DType::f64 : DType::f32);
  saved.mean = multiplied(total(saved.x, axes), reciprocal(axes.count));
  const Tensor distance = map_binary(functions::Sub{}, saved.x, saved.mean);
  const Tensor squares = total(map_unary(functions::Square{}, distance), axes);
  return reshaped(converted(multiplied(squares, reciprocal(axes.count - args.correction)), x.dtype()), call.out.shape);
}

// y = sum_i (x_i - m)^2 / k, k = n - correction. The share through m is -2 sum_i (x_i - m) dm / k = 0, so dx_i = dy 2 (x_i - m) / k.
Grads<1> Variance::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  const Axes axes(name, saved.x.spec(), args.axes);
  const Tensor factor = multiplied(converted(reshaped(dy, axes.kept), saved.x.dtype()), 2.0 * reciprocal(axes.count - args.correction));
  const Tensor dx = map_binary(functions::Mul{}, map_binary(functions::Sub{}, saved.x, saved.mean), factor);
  return {converted(dx, dy.dtype())};
}

// ---- extremes ----

namespace {

// x with the reduced axes as one: contiguous [outer, count, inner]. If they are not neighbours they are moved to the end.
struct Grouped {
  std::vector<int> order;  ///< of x's axes in memory; empty: as they are
  std::int64_t outer = 1, inner = 1;

  Grouped(const Axes& axes, const Shape& from) {
    int first = from.rank(), last = -1, number = 0;
    for (int axis = 0; axis < from.rank(); ++axis) {
      if (!axes.reduced[static_cast<std::size_t>(axis)]) continue;
      first = std::min(first, axis), last = axis, ++number;
    }
    if (number == last - first + 1) {
      outer = from.sub(0, first).numel();
      inner = from.sub(last + 1, from.rank()).numel();
      return;
    }
    for (const bool reduced : {false, true})
      for (int axis = 0; axis < from.rank(); ++axis)
        if (axes.reduced[static_cast<std::size_t>(axis)] == reduced) order.push_back(axis);
    outer = axes.removed.numel();
  }

  Tensor view_of(const Tensor& x) const { return order.empty() ? x : x.view(x.layout().permute(order)); }
};

Spec extreme_spec(std::string_view op, const Spec& x, std::span<const int> axes, bool keepdim) {
  const Axes checked(op, x, axes);
  require(checked.count > 0, op, ": an extreme of nothing: x ", x);
  return {checked.result(keepdim), x.dtype};
}

Tensor arg_extreme(kernels::Extreme which, const Tensor& x, const Axes& axes) {
  const Grouped group(axes, x.shape());
  const Tensor grouped = dense(group.view_of(x)), positions(axes.kept, DType::i64);
  if (positions.numel() == 0) return positions;
  dispatch_floating("max", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::arg_extreme(which, group.outer, axes.count, group.inner, grouped.data<const T>(), positions.data<std::int64_t>());
  });
  return positions;
}

Tensor extreme_forward(kernels::Extreme which, const Axes& axes, const Tensor& x, const Spec& out, Max::Saved& saved) {
  saved = {arg_extreme(which, x, axes), x.shape()};
  const Grouped group(axes, x.shape());
  const Tensor grouped = dense(group.view_of(x)), y(out);
  const auto* const positions = saved.positions.data<const std::int64_t>();
  dispatch_floating("max", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const from = grouped.data<const T>();
    T* const to = y.data<T>();
    for (std::int64_t i = 0; i < y.numel(); ++i)
      to[i] = from[(i / group.inner * axes.count + positions[i]) * group.inner + i % group.inner];
  });
  return y;
}

// y = x[position]: dx is dy there and 0 elsewhere.
Tensor extreme_backward(const Axes& axes, const Max::Saved& saved, const Tensor& dy) {
  const Grouped group(axes, saved.from);
  const Tensor dx(saved.from, dy.dtype());
  const Tensor shaped = group.order.empty() ? dx : Tensor(group.view_of(dx).shape(), dy.dtype());
  const Tensor from = dense(dy);
  dispatch_floating("max", dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::gather_gradient(group.outer, axes.count, 1, group.inner, saved.positions.data<const std::int64_t>(), from.data<const T>(),
                             shaped.data<T>());
  });
  if (!group.order.empty()) kernels::copy(shaped, group.view_of(dx));
  return dx;
}

}  // namespace

Spec Max::spec(const Args& args, const Spec& x) { return extreme_spec(name, x, args.axes, args.keepdim); }

Tensor Max::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  return extreme_forward(kernels::Extreme::largest, Axes(name, x.spec(), args.axes), x, call.out, saved);
}

Grads<1> Max::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  return {extreme_backward(Axes(name, {saved.from, dy.dtype()}, args.axes), saved, dy)};
}

Spec Min::spec(const Args& args, const Spec& x) { return extreme_spec(name, x, args.axes, args.keepdim); }

Tensor Min::forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved) {
  return extreme_forward(kernels::Extreme::smallest, Axes(name, x.spec(), args.axes), x, call.out, saved);
}

Grads<1> Min::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  return {extreme_backward(Axes(name, {saved.from, dy.dtype()}, args.axes), saved, dy)};
}

Spec Argmax::spec(const Args& args, const Spec& x) {
  return {extreme_spec(name, x, std::span(&args.axis, 1), args.keepdim).shape, DType::i64};
}

Tensor Argmax::forward(const Args& args, const Tensor& x, const Spec& out) {
  const Axes axes(name, x.spec(), std::span(&args.axis, 1));
  return reshaped(arg_extreme(kernels::Extreme::largest, x, axes), out.shape);
}

}  // namespace capstan::ops
