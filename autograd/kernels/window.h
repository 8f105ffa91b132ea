#pragma once
// A window that slides along one axis of an image: what convolution and pooling share.

#include <cstdint>

namespace capstan::kernels {

/// `before` and `after` positions of padding surround the `in` positions of the axis.
struct WindowAxis {
  std::int64_t in = 1, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  /// Positions the window takes; at most 0 if it does not fit at all.
  std::int64_t out() const { return (in + before + after - dilation * (kernel - 1) - 1 + stride) / stride; }
  /// The position under tap k of window o; outside [0, in) it is padding.
  std::int64_t at(std::int64_t o, std::int64_t k) const { return o * stride + k * dilation - before; }
  bool inside(std::int64_t position) const { return position >= 0 && position < in; }
};

}  // namespace capstan::kernels
