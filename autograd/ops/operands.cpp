#include "autograd/ops/operands.h"

#include <algorithm>

#include "autograd/kernels/accumulate.h"

namespace capstan::ops {

Tensor dense(const Tensor& t) {
  if (!t.defined() || t.is_contiguous()) return t;
  Tensor copy(t.spec());
  kernels::copy(t, copy);
  return copy;
}

Tensor reshaped(const Tensor& t, const Shape& shape) {
  if (const auto layout = t.layout().reshape(shape)) return t.view(*layout);
  const Tensor copy = dense(t);
  return copy.view(*copy.layout().reshape(shape));
}

Tensor slice_view(const Tensor& t, int axis, std::int64_t start, std::int64_t length, std::int64_t step) {
  return t.view(t.layout().slice(axis, start, length, step));
}

Tensor converted(const Tensor& t, DType dtype) {
  if (t.dtype() == dtype) return dense(t);
  Tensor to(t.shape(), dtype);
  kernels::convert(t, to);
  return to;
}

Tensor scaled(const Tensor& t, double factor) {
  if (factor == 1.0) return t;
  const Tensor from = dense(t), to(t.spec());
  dispatch_floating("scaled", t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    std::ranges::transform(from.span<const T>(), to.span<T>().begin(),
                           [=](T v) { return kernels::convert<T>(static_cast<C>(v) * static_cast<C>(factor)); });
  });
  return to;
}

void check_present(std::string_view op, std::string_view what, const Spec& x) {
  require<ArgumentError>(x.present, op, ": ", what, " must not be undefined");
}

void check_floating(std::string_view op, std::string_view what, const Spec& x) {
  check_present(op, what, x);
  require<DTypeError>(is_floating(x.dtype), op, ": ", what, " must be of a floating type: ", what, " ", x);
}

void check_vector(std::string_view op, const Named& vector, std::int64_t size, const Named& other) {
  if (!vector.spec.present) return;
  require<DTypeError>(vector.spec.dtype == other.spec.dtype, op, ": element types must agree: ", other.name, " ", other.spec, ", ",
                      vector.name, " ", vector.spec);
  require(vector.spec.shape == Shape{size}, op, ": ", vector.name, " must be [", size, "]: ", other.name, " ", other.spec, ", ",
          vector.name, " ", vector.spec);
}

int check_axis(std::string_view op, const Spec& x, int axis) {
  check_present(op, "x", x);
  const int rank = x.shape.rank();
  require(axis >= -rank && axis < rank, op, ": there must be such an axis: x ", x, " has ", rank, " axes, axis ", axis);
  return x.shape.normalize(axis);
}

void check_indices(std::string_view op, std::string_view what, std::span<const std::int64_t> indices, std::int64_t size,
                   std::span<const std::uint8_t> valid) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] >= 0 && indices[i] < size) [[likely]]
      continue;
    require(!valid.empty() && valid[i] == 0, op, ": ", what, " must lie in [0, V): position ", i, " holds ", indices[i], ", V is ", size);
  }
}

Spec broadcast_spec(std::string_view op, const Spec& a, const Spec& b) {
  require<DTypeError>(is_floating(a.dtype) && a.dtype == b.dtype, op, ": a and b must have the same floating element type: a ", a, ", b ",
                      b);
  return {broadcast(op, a.shape, b.shape), a.dtype};
}

void check_dropout(std::string_view op, double p, const Spec& x, const Spec& row_ids) {
  check_floating(op, "x", x);
  require<ArgumentError>(p >= 0 && p <= 1, op, ": the probability to drop must lie in [0, 1]: p ", p);
  if (!row_ids.present) return;
  require<DTypeError>(row_ids.dtype == DType::i64, op, ": row ids must be i64: row_ids ", row_ids);
  const std::int64_t groups = row_ids.shape.numel();
  require(row_ids.shape.rank() == 1 && (groups > 0 ? x.shape.numel() % groups == 0 : x.shape.numel() == 0), op,
          ": the number of row ids must divide the number of elements: x ", x, " has ", x.shape.numel(), ", row_ids ", row_ids);
}

kernels::DropoutMask dropout_mask(double p, std::uint64_t key, const Tensor& row_ids, std::int64_t numel) {
  const std::int64_t groups = row_ids.defined() ? std::max<std::int64_t>(row_ids.numel(), 1) : 1;
  return {.key = key,
          .rate = kernels::DropoutRate(p),
          .ids = pointer<const std::int64_t>(row_ids),
          .group_size = std::max<std::int64_t>(numel / groups, 1)};
}

std::array<kernels::WindowAxis, 2> window_axes(std::string_view op, const Spec& x, const std::array<std::int64_t, 2>& kernel,
                                               const Window& window) {
  check_floating(op, "x", x);
  require(x.shape.rank() == 4, op, ": x must be [B, C, H, W]: x ", x);
  std::array<kernels::WindowAxis, 2> axes;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string_view axis = i == 0 ? "height" : "width";
    axes[i] = {.in = x.shape[static_cast<int>(i) + 2],
               .kernel = kernel[i],
               .stride = window.stride[i],
               .dilation = window.dilation[i],
               .before = window.before[i],
               .after = window.after[i]};
    require<ArgumentError>(kernel[i] > 0 && window.stride[i] > 0 && window.dilation[i] > 0 && window.before[i] >= 0 && window.after[i] >= 0,
                           op, ": kernel, stride and dilation must be positive and padding not negative: ", axis, " kernel ", kernel[i],
                           ", stride ", window.stride[i], ", dilation ", window.dilation[i], ", padding ", window.before[i], " and ",
                           window.after[i]);
    require(axes[i].in > 0 && axes[i].out() > 0, op, ": the window must fit into the padded image: x ", x, ", ", axis, " ", axes[i].in,
            " with padding ", window.before[i], " and ", window.after[i], ", window ", window.dilation[i] * (kernel[i] - 1) + 1);
  }
  return axes;
}

}  // namespace capstan::ops
