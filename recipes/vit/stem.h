#pragma once
// What stands between an image and the cutting of patches (model.stem): nothing, plain convolutions, or a ResNet.

#include <cstdint>
#include <utility>
#include <variant>

#include "recipes/vit/conv_stem.h"
#include "recipes/vit/resnet_stem.h"

namespace capstan::vit {

class ImageStem {
 public:
  ImageStem(const nn::Scope& scope, const ModelOptions& options);

  /// images [B, C, H, W] -> what patches are cut from [B, channels, H', W'].
  Tensor operator()(const Tensor& images, const nn::Run& run) const;

  static std::int64_t channels(const ModelOptions& options);
  /// Height and width of what an image becomes.
  static std::pair<std::int64_t, std::int64_t> feature_size(const ModelOptions& options, std::int64_t height, std::int64_t width);
  /// Multiply-adds of the convolutions for one image.
  static double multiply_adds(const ModelOptions& options, std::int64_t height, std::int64_t width);

 private:
  std::variant<std::monostate, ConvStem, ResNetStem> stem_;
};

}  // namespace capstan::vit
