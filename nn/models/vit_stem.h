#pragma once
// What stands between an image and the cutting of patches (model.stem): nothing, plain convolutions, or a ResNet.

#include <cstdint>
#include <utility>
#include <variant>

#include "nn/conv_stem.h"
#include "nn/models/vit_resnet_stem.h"

namespace capstan::nn {

/// Of stem = convolutions.
ConvStemOptions conv_stem_options(const VitOptions& options);

class VitImageStem {
 public:
  VitImageStem(const Scope& scope, const VitOptions& options);

  /// images [B, C, H, W] -> what patches are cut from [B, channels, H', W'].
  Tensor operator()(const Tensor& images, const Run& run) const;

  static std::int64_t channels(const VitOptions& options);
  /// Height and width of what an image becomes.
  static std::pair<std::int64_t, std::int64_t> feature_size(const VitOptions& options, std::int64_t height, std::int64_t width);

 private:
  std::variant<std::monostate, ConvStem, VitResnetStem> stem_;
};

}  // namespace capstan::nn
