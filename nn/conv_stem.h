#pragma once
// A stem of plain 3x3 convolutions before a transformer over images (Xiao et al., "Early convolutions help transformers see better", 2021):
// each is followed by batch normalisation and relu, and strides take the place of large patches.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/conv.h"
#include "nn/image_normalization.h"
#include "nn/run.h"

namespace capstan::nn {

struct ConvStemOptions {
  std::int64_t in = 3;                               ///< channels of the images
  std::vector<std::int64_t> channels, strides = {};  ///< of each convolution
};

class ConvStem {
 public:
  ConvStem(const Scope& scope, const ConvStemOptions& options);

  /// images [B, C, H, W] -> features [B, channels, H', W']. In training, images of a batch are normalised by their common statistics.
  Tensor operator()(const Tensor& images, const Run& run) const;

  /// Throws ConfigError, naming the keys of `model`, unless there is a stride for each convolution.
  static void check(const ConvStemOptions& options, std::string_view model);
  /// Height and width of the features of an image: each stride divides them, rounding up.
  static std::pair<std::int64_t, std::int64_t> feature_size(const ConvStemOptions& options, std::int64_t height, std::int64_t width);

 private:
  struct Layer {
    Conv2d conv;
    BatchNorm2d norm;
  };
  std::vector<Layer> layers_;
};

}  // namespace capstan::nn
