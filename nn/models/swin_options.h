#pragma once
// What a Swin transformer (swin.h) looks like: the configuration section `model`, and the published sizes by name.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/shifted_windows.h"

namespace capstan::nn {

/// What turns an image into tokens.
enum class SwinStem {
  patches,       ///< a linear map of each patch
  convolutions,  ///< plain convolutions first (nn/conv_stem.h), then a linear map of each patch of their feature map
};

/// What matrices start from. Biases are zero, patches uniform within 1 / sqrt(fan in), tables and positions truncated normal .02 with both.
enum class SwinInitialValues {
  published,  ///< truncated normal .02
  fan_in,     ///< uniform within 1 / sqrt(fan in), as PyTorch's layers: larger where tokens are narrow, which learn sooner then
};

struct SwinOptions {
  std::int64_t image_size = 224, channels = 3, classes = 1000;
  std::int64_t patch_size = 4, hidden_size = 96;
  SwinStem stem = SwinStem::patches;
  std::vector<std::int64_t> stem_channels{48, 96}, stem_strides{2, 2};
  std::vector<std::int64_t> depths{2, 2, 6, 2}, heads{3, 6, 12, 24};
  std::int64_t window_size = 7;
  double mlp_ratio = 4;
  bool qkv_bias = true, patch_norm = true, absolute_positions = false;
  double norm_epsilon = 1e-5;
  WindowPadding padding = WindowPadding::transformers;
  SwinInitialValues initial_values = SwinInitialValues::published;
  double dropout = 0, attention_dropout = 0, stochastic_depth = 0.1;

  template <class V>
  void visit(V& v) {
    v("image_size", image_size, "height and width of the images, in pixels", V::between(1, 16384));
    v("channels", channels, "channels of the images: 1 grey, 3 colour", V::between(1, 64));
    v("classes", classes, "number of classes; 0: as many as the data has", V::between(0, 1e6)).of_use();
    v("patch_size", patch_size, "height and width of a patch, in pixels (with a stem: in positions of its feature map)",
      V::between(1, 16384));
    v("stem", stem, "what turns an image into tokens: patches, as published, or patches of what convolutions make of it",
      {{"patches", SwinStem::patches}, {"convolutions", SwinStem::convolutions}});
    v("stem_channels", stem_channels, "stem=convolutions: channels of each 3x3 convolution; all are followed by batch normalisation",
      V::between(1, 65536));
    v("stem_strides", stem_strides, "stem=convolutions: stride of each", V::between(1, 64));
    v("hidden_size", hidden_size, "width of the tokens of the first stage; each later stage has twice that of the one before",
      V::between(1, 65536));
    v("depths", depths, "blocks of each stage; between two stages four neighbouring tokens become one", V::between(1, 1024));
    v("heads", heads, "attention heads of each stage", V::between(1, 1024));
    v("window_size", window_size, "height and width of the windows that tokens attend within, in tokens; a smaller map is one window",
      V::between(1, 1024));
    v("mlp_ratio", mlp_ratio, "inner width of the MLP of a block to the width of its tokens", V::between(0.01, 1000));
    v("qkv_bias", qkv_bias, "query, key and value have a bias");
    v("patch_norm", patch_norm, "the patches are normalised");
    v("absolute_positions", absolute_positions, "learned positions are added to the patches");
    v("norm_epsilon", norm_epsilon, "epsilon of the layer normalisations", V::positive());
    v("padding", padding,
      "where patches, windows or the merging of tokens do not divide a size: padded as transformers do it, or as timm does (the map of "
      "tokens moves before it is padded), or refused as in the original",
      {{"transformers", WindowPadding::transformers}, {"timm", WindowPadding::timm}, {"refuse", WindowPadding::refuse}});
    v("initial_values", initial_values, "initial values of matrices: truncated normal .02, or uniform within 1 / sqrt(fan in)",
      {{"published", SwinInitialValues::published}, {"fan_in", SwinInitialValues::fan_in}})
        .of_training();
    v("dropout", dropout, "share of activations set to zero in training: after the patches, in and after both parts of a block",
      V::fraction())
        .of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("stochastic_depth", stochastic_depth,
      "probability that a sample skips the last block in training (drop path); earlier blocks less, linearly to 0", V::fraction())
        .of_training();
  }
};

/// A published size: T, S, B or L.
struct SwinSize {
  std::string_view name;
  std::int64_t hidden_size, third_depth, first_heads;  ///< depths 2, 2, n, 2; heads n, 2 n, 4 n, 8 n
};
inline constexpr std::array<SwinSize, 4> kSwinSizes{
    {{"tiny", 96, 6, 3}, {"small", 96, 18, 3}, {"base", 128, 18, 4}, {"large", 192, 18, 6}}};

}  // namespace capstan::nn
