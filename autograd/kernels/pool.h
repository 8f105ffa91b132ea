#pragma once
// Pooling of planes [planes, height.in, width.in] -> [planes, height.out(), width.out()]; a plane is one channel of one image, or, for max
// pooling, all channels of one image, side by side at every place.
// T: float, bfloat16 (sums in float), double.

#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/window.h"

namespace capstan::kernels {

struct PoolProblem {
  std::int64_t planes = 0;
  WindowAxis height = {}, width = {};
  std::int64_t channels = 1;  ///< of a plane; of avg_pool2d 1

  /// Elements of a plane.
  std::int64_t in_size() const { return height.in * width.in * channels; }
  std::int64_t out_size() const { return height.out() * width.out() * channels; }
};

/// The largest element under the window and the index of its place in the plane; the first of several equal ones, or the first NaN. Padding
/// does not take part; every window must hold an element.
template <class T>
struct MaxPool2d {
  using Signature = void(const PoolProblem& p, const T* x, T* y, std::int32_t* indices);
  static Signature fast, reference;
};
inline constexpr Kernel<MaxPool2d, float, bfloat16, double> max_pool2d;
/// dx[place of y[j]] += dy[j], from zeros.
template <class T>
struct MaxPool2dBackward {
  using Signature = void(const PoolProblem& p, const T* dy, const std::int32_t* indices, T* dx);
  static Signature fast, reference;
};
inline constexpr Kernel<MaxPool2dBackward, float, bfloat16, double> max_pool2d_backward;

/// The sum under the window divided by the size of the window, or by the number of elements that are not padding.
template <class T>
struct AvgPool2d {
  using Signature = void(const PoolProblem& p, bool count_padding, const T* x, T* y);
  static Signature fast, reference;
};
inline constexpr Kernel<AvgPool2d, float, bfloat16, double> avg_pool2d;
template <class T>
struct AvgPool2dBackward {
  using Signature = void(const PoolProblem& p, bool count_padding, const T* dy, T* dx);
  static Signature fast, reference;
};
inline constexpr Kernel<AvgPool2dBackward, float, bfloat16, double> avg_pool2d_backward;

}  // namespace capstan::kernels
