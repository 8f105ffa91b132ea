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

}  // namespace capstan
