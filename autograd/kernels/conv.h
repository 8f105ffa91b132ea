#pragma once
// Two-dimensional convolution (cross-correlation, as everywhere in the field) of contiguous images x [batch, in_channels, height, width]
// with weights [out_channels, in_channels / groups, kernel height, kernel width]:
//     y[b, o, r, s] = bias[o] + sum over the channels i of o's group and taps (k, l)
//                               of x[b, i, height.at(r, k), width.at(s, l)] weight[o, i, k, l]
// with zeros for padding. With channels_last, x and y are [batch, height, width, channels] in memory, and so are their gradients. Operands
// are of problem.dtype: f32 and bf16 sum in f32, f64 in f64. Every output is written in full.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/window.h"

namespace capstan::kernels {

struct ConvProblem {
  DType dtype = DType::f32;
  std::int64_t batch = 0, in_channels = 0, out_channels = 0;
  std::int64_t groups = 1;  ///< divides both; group g reads and writes the g-th part of the channels
  bool channels_last = false;
  WindowAxis height = {}, width = {};

  /// Where an element is.
  std::int64_t x_index(std::int64_t b, std::int64_t channel, std::int64_t row, std::int64_t column) const {
    return index(in_channels, height.in, width.in, b, channel, row, column);
  }
  std::int64_t y_index(std::int64_t b, std::int64_t channel, std::int64_t row, std::int64_t column) const {
    return index(out_channels, height.out(), width.out(), b, channel, row, column);
  }
  std::int64_t group_in() const { return in_channels / groups; }
  std::int64_t group_out() const { return out_channels / groups; }
  std::int64_t x_size() const { return batch * in_channels * height.in * width.in; }
  std::int64_t y_size() const { return batch * out_channels * height.out() * width.out(); }
  std::int64_t weight_size() const { return out_channels * group_in() * height.kernel * width.kernel; }
  /// Of each of the three kernels; taps that lie in the padding count.
  profile::Work work() const {
    return {.flops = 2.0 * static_cast<double>(batch * height.out() * width.out()) * static_cast<double>(weight_size())};
  }

 private:
  std::int64_t index(std::int64_t channels, std::int64_t rows, std::int64_t columns, std::int64_t b, std::int64_t channel, std::int64_t row,
                     std::int64_t column) const {
    return channels_last ? ((b * rows + row) * columns + column) * channels + channel
                         : ((b * channels + channel) * rows + row) * columns + column;
  }
};

/// `bias` [out_channels] may be null.
struct Conv2d {
  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const ConvProblem& p, const void* x, const void* weight, const void* bias, void* y);
  static Signature fast, reference;
};
inline constexpr KernelByDType<Conv2d> conv2d;
struct Conv2dBackwardData {
  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const ConvProblem& p, const void* dy, const void* weight, void* dx);
  static Signature fast, reference;
};
inline constexpr KernelByDType<Conv2dBackwardData> conv2d_backward_data;
/// dweight and dbias (which may be null) are sums that are not rounded: f32 for bf16 operands, else of their type.
struct Conv2dBackwardWeights {
  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const ConvProblem& p, const void* x, const void* dy, void* dweight, void* dbias);
  static Signature fast, reference;
};
inline constexpr KernelByDType<Conv2dBackwardWeights> conv2d_backward_weights;

}  // namespace capstan::kernels
