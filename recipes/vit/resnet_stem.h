#pragma once
// The convolutional stem of the hybrid: ResNetV2 with standardised weights and group normalisation (Kolesnikov et al., "Big transfer",
// 2020) without its last pooling.
//
//     root    7x7 convolution / 2, norm, relu, 3x3 max pooling / 2
//     stages  of bottleneck blocks; all but the first begin with a stride of 2 and double the channels
//     block   relu(shortcut(x) + norm(conv1x1(relu(norm(conv3x3(relu(norm(conv1x1(x)))))))))
//
// Despite its name it is post-activated: that is what the original code computes. The two well-known forms differ in padding, in the
// standardisation and in the shortcut's normalisation (StemForm).

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "nn/conv.h"
#include "nn/image_normalization.h"
#include "recipes/vit/model_options.h"

namespace capstan::vit {

struct BottleneckOptions {
  std::int64_t in = 0, inner = 0, out = 0;
  std::int64_t stride = 1;
  StemForm form = StemForm::flax;
};

class Bottleneck {
 public:
  Bottleneck(const nn::Scope& scope, const BottleneckOptions& options);

  /// [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)].
  Tensor operator()(const Tensor& x) const;

 private:
  nn::StdConv2d conv1_;
  nn::GroupNorm norm1_;
  nn::StdConv2d conv2_;
  nn::GroupNorm norm2_;
  nn::StdConv2d conv3_;
  nn::GroupNorm norm3_;
  std::optional<nn::StdConv2d> shortcut_conv_;  // where the shape changes
  std::optional<nn::GroupNorm> shortcut_norm_;
};

class ResNetStem {
 public:
  /// Reads channels, stem_blocks, stem_width and stem_form.
  ResNetStem(const nn::Scope& scope, const ModelOptions& options);

  /// images [B, C, H, W] -> features [B, channels, H', W'].
  Tensor operator()(const Tensor& images) const;

  /// Channels of the features: 4 times the width, doubled by every stage but the first.
  static std::int64_t channels(const ModelOptions& options);
  /// Height and width of the features of an image.
  static std::pair<std::int64_t, std::int64_t> feature_size(const ModelOptions& options, std::int64_t height, std::int64_t width);
  /// Multiply-adds of the convolutions for one image.
  static double multiply_adds(const ModelOptions& options, std::int64_t height, std::int64_t width);

 private:
  StemForm form_;
  nn::StdConv2d root_conv_;
  nn::GroupNorm root_norm_;
  std::vector<Bottleneck> blocks_;
};

}  // namespace capstan::vit
