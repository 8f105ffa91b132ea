#pragma once
// How a window moves over the height and width of an image: what conv2d and the poolings have in common.

#include <array>
#include <cstdint>

namespace capstan {

/// Index 0 is height, 1 is width. Padding may differ before (top, left) and after (bottom, right).
struct Window {
  std::array<std::int64_t, 2> stride{1, 1}, before{0, 0}, after{0, 0}, dilation{1, 1};
};

/// The same stride and padding on both axes and on all sides.
inline Window square_window(std::int64_t stride, std::int64_t padding = 0, std::int64_t dilation = 1) {
  return {.stride = {stride, stride}, .before = {padding, padding}, .after = {padding, padding}, .dilation = {dilation, dilation}};
}

/// Padding such that the result has ceil(size / stride) places on each axis ("SAME"); an odd number has its extra position after.
Window same_window(std::int64_t height, std::int64_t width, const std::array<std::int64_t, 2>& kernel, std::int64_t stride,
                   std::int64_t dilation = 1);

}  // namespace capstan
