#pragma once
// What a vision transformer (vit.h) looks like: the configuration section `model`, and the published sizes by name.
//
// The well-known implementations agree on the architecture and disagree on details that show in the numbers: the form of GELU, the epsilon
// of the normalisations, initial values, how positions are interpolated, and several places of the convolutional stem. Each is an option.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "autograd/ops/activation.h"
#include "nn/grid_interpolation.h"

namespace capstan::nn {

/// What turns an image into tokens.
enum class VitStem {
  patches,       ///< a linear map of each patch
  convolutions,  ///< plain convolutions first (nn/conv_stem.h), then a linear map of each patch of their feature map
  resnet,        ///< a weight-standardised ResNet first ("hybrid", vit_resnet_stem.h), likewise
};

/// What the classifier reads.
enum class VitHeadInput {
  token,    ///< the class token
  average,  ///< the mean of the patch tokens; then there is no class token
};

/// Initial values of which implementation. Biases are zero where nothing is said.
enum class VitInitialValues {
  flax,        ///< the original: Glorot uniform, patches normal sqrt(1 / fan in), biases of the MLP N(0, 1e-6), class token and classifier
               ///< zero, positions N(0, .02)
  torch_port,  ///< its first port to PyTorch: the MLP likewise, everything else uniform within 1 / sqrt(fan in), class token and positions
               ///< zero
  timm,        ///< truncated normal .02, patches uniform within 1 / sqrt(fan in), class token N(0, 1e-6)
  transformers,  ///< truncated normal .02
};

/// The details of the convolutional stem.
enum class VitStemForm {
  flax,       ///< SAME padding, weights by (w - mean) / (deviation + eps), the shortcut normalised like the rest, last gains zero
  torch_port  ///< symmetric padding and an unpadded pooling, (w - mean) / sqrt(variance + eps), the shortcut normalised by channel, gains
              ///< one
};

struct VitOptions {
  std::int64_t image_size = 224, channels = 3, classes = 1000;
  std::int64_t patch_size = 16;
  std::int64_t hidden_size = 768, layers = 12, heads = 12, mlp_size = 3072;
  VitStem stem = VitStem::patches;
  std::vector<std::int64_t> stem_channels{48, 96, 192, 384}, stem_strides{2, 2, 2, 2};
  std::vector<std::int64_t> stem_blocks{3, 4, 9};
  std::int64_t stem_width = 64;
  VitStemForm stem_form = VitStemForm::flax;
  VitHeadInput head = VitHeadInput::token;
  std::int64_t representation_size = 0;
  Activation activation = Activation::gelu;
  double norm_epsilon = 1e-6;
  VitInitialValues initial_values = VitInitialValues::flax;
  Interpolation interpolation = Interpolation::align_corners;  ///< of the original code; timm uses bicubic_antialias
  double dropout = 0.1, attention_dropout = 0, stochastic_depth = 0;

  template <class V>
  void visit(V& v) {
    v("image_size", image_size, "height and width of the images, in pixels", V::between(1, 16384));
    v("channels", channels, "channels of the images: 1 grey, 3 colour", V::between(1, 64));
    v("classes", classes, "number of classes; 0: as many as the data has", V::between(0, 1e6)).of_use();
    v("patch_size", patch_size, "height and width of a patch, in pixels (with a stem: in positions of its feature map)",
      V::between(1, 16384));
    v("hidden_size", hidden_size, "width of the tokens", V::between(1, 65536));
    v("layers", layers, "encoder layers", V::between(0, 1024));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("mlp_size", mlp_size, "inner width of the MLP of a layer", V::between(1, 1e6));
    v("stem", stem, "what turns an image into tokens: patches, or patches of what convolutions or a ResNet (hybrid) make of it",
      {{"patches", VitStem::patches}, {"convolutions", VitStem::convolutions}, {"resnet", VitStem::resnet}});
    v("stem_channels", stem_channels, "stem=convolutions: channels of each 3x3 convolution; all are followed by batch normalisation",
      V::between(1, 65536));
    v("stem_strides", stem_strides, "stem=convolutions: stride of each", V::between(1, 64));
    v("stem_blocks", stem_blocks, "stem=resnet: blocks of each stage; the feature stride is 2 to the power of their number + 1",
      V::between(1, 1024));
    v("stem_width", stem_width, "stem=resnet: channels of the root, a multiple of 32", V::between(32, 65536));
    v("stem_form", stem_form, "stem=resnet: padding, standardisation and shortcut as in the original code or in its PyTorch port",
      {{"flax", VitStemForm::flax}, {"torch_port", VitStemForm::torch_port}});
    v("head", head, "what the classifier reads: the class token, or the average of the patches",
      {{"token", VitHeadInput::token}, {"average", VitHeadInput::average}});
    v("representation_size", representation_size, "width of a tanh layer before the classifier; 0: none", V::between(0, 1e6));
    v("activation", activation, "form of GELU: by erf, or its approximation by tanh",
      {{"gelu", Activation::gelu}, {"gelu_tanh", Activation::gelu_tanh}});
    v("norm_epsilon", norm_epsilon, "epsilon of the layer normalisations", V::positive());
    v("initial_values", initial_values, "initial values of which implementation: flax (the original), torch_port, timm, transformers",
      {{"flax", VitInitialValues::flax},
       {"torch_port", VitInitialValues::torch_port},
       {"timm", VitInitialValues::timm},
       {"transformers", VitInitialValues::transformers}})
        .of_training();
    v("interpolation", interpolation, "how positions of another image size are interpolated",
      {{"align_corners", Interpolation::align_corners},
       {"bilinear", Interpolation::bilinear},
       {"bicubic", Interpolation::bicubic},
       {"bicubic_antialias", Interpolation::bicubic_antialias}});
    v("dropout", dropout, "share of activations set to zero in training: after the positions, in and after both parts of a layer",
      V::fraction())
        .of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("stochastic_depth", stochastic_depth,
      "probability that a sample skips the last layer in training; earlier layers less, linearly to 0", V::fraction())
        .of_training();
  }
};

/// A published size: Ti, S, B, L or H.
struct VitSize {
  std::string_view name;
  std::int64_t hidden_size, mlp_size, heads, layers;
};
inline constexpr std::array<VitSize, 5> kVitSizes{{{"tiny", 192, 768, 3, 12},
                                                   {"small", 384, 1536, 6, 12},
                                                   {"base", 768, 3072, 12, 12},
                                                   {"large", 1024, 4096, 16, 24},
                                                   {"huge", 1280, 5120, 16, 32}}};

}  // namespace capstan::nn
