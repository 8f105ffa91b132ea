#pragma once
// Two-dimensional convolution (cross-correlation) of images [B, C, H, W]. Weights are standardised in image_normalization.h.

#include <cstdint>
#include <string_view>

#include "autograd/ops/window.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Conv2d {
  static constexpr std::string_view name = "conv2d";
  struct Args {
    Window window = {};
    std::int64_t groups = 1;
  };
  struct Saved {
    Tensor x, weight;
    Spec x_spec, weight_spec;
    bool channels_last = false;
  };  ///< of x and weight what a wanted gradient reads
  static Spec spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias, const Call<3>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

using ConvOps = TypeList<Conv2d>;

}  // namespace ops

/// x [B, C, H, W], weight [O, C / groups, KH, KW], bias [O] or absent -> [B, O, H', W'] with H' = (H + padding - dilation (KH - 1) - 1) /
/// stride + 1 rounded down. Output channel o reads the channels of its group, o / (O / groups). Padding is zeros. The result lies in memory
/// as x does: row by row, or with the channels of a place side by side.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ops::Conv2d::Args& args = {});

/// The same images [B, C, H, W] with the channels of a place side by side in memory, where convolutions read them without putting them in
/// order first: a permuted view of [B, H, W, C].
Tensor channels_last(const Tensor& x);

}  // namespace capstan
