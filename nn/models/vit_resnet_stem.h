#pragma once
// The convolutional stem of the hybrid: ResNetV2 with standardised weights and group normalisation (Kolesnikov et al., "Big transfer",
// 2020) without its last pooling.
//
//     root    7x7 convolution / 2, norm, relu, 3x3 max pooling / 2
//     stages  of bottleneck blocks; all but the first begin with a stride of 2 and double the channels
//     block   relu(shortcut(x) + norm(conv1x1(relu(norm(conv3x3(relu(norm(conv1x1(x)))))))))
//
// Despite its name it is post-activated: that is what the original code computes. The two well-known forms differ in padding, in the
// standardisation and in the shortcut's normalisation (VitStemForm).

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "nn/conv.h"
#include "nn/image_normalization.h"
#include "nn/models/vit_options.h"

namespace capstan::nn {

struct VitBottleneckOptions {
  std::int64_t in = 0, inner = 0, out = 0;
  std::int64_t stride = 1;
  VitStemForm form = VitStemForm::flax;
};

class VitBottleneck {
 public:
  VitBottleneck(const Scope& scope, const VitBottleneckOptions& options);

  /// [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)].
  Tensor operator()(const Tensor& x) const;

 private:
  StdConv2d conv1_;
  GroupNorm norm1_;
  StdConv2d conv2_;
  GroupNorm norm2_;
  StdConv2d conv3_;
  GroupNorm norm3_;
  std::optional<StdConv2d> shortcut_conv_;  // where the shape changes
  std::optional<GroupNorm> shortcut_norm_;
};

class VitResnetStem {
 public:
  /// Reads channels, stem_blocks, stem_width and stem_form.
  VitResnetStem(const Scope& scope, const VitOptions& options);

  /// images [B, C, H, W] -> features [B, channels, H', W'].
  Tensor operator()(const Tensor& images) const;

  /// Channels of the features: 4 times the width, doubled by every stage but the first.
  static std::int64_t channels(const VitOptions& options);
  /// Height and width of the features of an image.
  static std::pair<std::int64_t, std::int64_t> feature_size(const VitOptions& options, std::int64_t height, std::int64_t width);

 private:
  VitStemForm form_;
  StdConv2d root_conv_;
  GroupNorm root_norm_;
  std::vector<VitBottleneck> blocks_;
};

}  // namespace capstan::nn
