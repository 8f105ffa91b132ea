#pragma once
// A window that slides along one axis of an image: what convolution and pooling share.

#include <algorithm>
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

/// The taps of window o that are not padding: [first, last).
struct Taps {
  std::int64_t first, last;
  Taps(const WindowAxis& a, std::int64_t o) {
    const std::int64_t begin = a.at(o, 0);
    first = begin >= 0 ? 0 : (-begin + a.dilation - 1) / a.dilation;
    last = std::min(a.kernel, begin >= a.in ? 0 : (a.in - begin + a.dilation - 1) / a.dilation);
  }
  std::int64_t count() const { return std::max<std::int64_t>(last - first, 0); }
};

}  // namespace capstan::kernels
