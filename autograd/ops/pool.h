#pragma once
// Pooling of images [B, C, H, W]: the largest element or the average under a window, channel by channel.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/ops/reduce.h"
#include "autograd/ops/window.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct MaxPool2d {
  static constexpr std::string_view name = "max_pool2d";
  struct Args {
    std::array<std::int64_t, 2> kernel{2, 2};  ///< height, width
    Window window = {};
  };
  struct Saved {
    Tensor positions;
    Spec x;
    bool channels_last = false;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct AvgPool2d {
  static constexpr std::string_view name = "avg_pool2d";
  struct Args {
    std::array<std::int64_t, 2> kernel{2, 2};  ///< height, width
    Window window = {};
    bool count_padding = true;  ///< divide by the size of the window, false: by the number of its elements that are not padding
  };
  struct Saved {
    Spec x;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

using PoolOps = TypeList<MaxPool2d, AvgPool2d>;

}  // namespace ops

/// The largest element under the window; padding never wins, so it must be smaller than the window. The gradient goes to the first of
/// several equal ones. NaN wins. The result lies in memory as x does: row by row, or with the channels of a place side by side.
inline Tensor max_pool2d(const Tensor& x, const ops::MaxPool2d::Args& args) { return apply<ops::MaxPool2d>(args, x); }
/// The average under the window.
inline Tensor avg_pool2d(const Tensor& x, const ops::AvgPool2d::Args& args) { return apply<ops::AvgPool2d>(args, x); }
/// The average of each channel: [B, C, H, W] -> [B, C].
inline Tensor global_avg_pool2d(const Tensor& x) { return mean(x, {2, 3}); }

}  // namespace capstan
