#include "autograd/ops/window.h"

#include <algorithm>

namespace capstan {

Window same_window(std::int64_t height, std::int64_t width, const std::array<std::int64_t, 2>& kernel, std::int64_t stride,
                   std::int64_t dilation) {
  Window window = square_window(stride, 0, dilation);
  const std::array<std::int64_t, 2> sizes{height, width};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t places = (sizes[axis] + stride - 1) / stride;
    const std::int64_t all = std::max<std::int64_t>((places - 1) * stride + dilation * (kernel[axis] - 1) + 1 - sizes[axis], 0);
    window.before[axis] = all / 2;
    window.after[axis] = all - all / 2;
  }
  return window;
}

namespace detail {

std::pair<kernels::WindowAxis, kernels::WindowAxis> window_axes(std::string_view op, const Spec& x,
                                                                const std::array<std::int64_t, 2>& kernel, const Window& window) {
  require<DTypeError>(is_floating(x.dtype), op, ": needs a floating type: x ", x);
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
    require(kernel[i] > 0 && window.stride[i] > 0 && window.dilation[i] > 0 && window.before[i] >= 0 && window.after[i] >= 0, op,
            ": kernel, stride and dilation must be positive and padding not negative: ", axis, " kernel ", kernel[i], ", stride ",
            window.stride[i], ", dilation ", window.dilation[i], ", padding ", window.before[i], " and ", window.after[i]);
    require(axes[i].in > 0 && axes[i].out() > 0, op, ": the window must fit into the padded image: x ", x, ", ", axis, " ", axes[i].in,
            " with padding ", window.before[i], " and ", window.after[i], ", window ", window.dilation[i] * (kernel[i] - 1) + 1);
  }
  return {axes[0], axes[1]};
}

}  // namespace detail
}  // namespace capstan
