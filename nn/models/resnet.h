#pragma once
// The residual network (He et al., "Deep residual learning for image recognition", 2015) in the form called v1.5, which torchvision, timm
// and Hugging Face transformers have: a bottleneck strides in its 3x3 convolution.
//
//     stem        7x7 convolution / 2, norm, relu, 3x3 max pooling / 2      (small: 3x3 convolution, norm, relu)
//     stages      of blocks; all but the first halve height and width
//     basic       relu(shortcut(x) + norm(conv3x3(relu(norm(conv3x3(x))))))
//     bottleneck  relu(shortcut(x) + norm(conv1x1(relu(norm(conv3x3(relu(norm(conv1x1(x)))))))))
//     logits      a linear map of the mean over places
//
// It computes in the element type of the images (f32 or bf16); logits are f32 (f64 in an f64 store). Inside, images lie with their channels
// last.

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

enum class ResNetBlock {
  basic,       ///< two 3x3 convolutions
  bottleneck,  ///< 1x1 to a quarter of the channels, 3x3, 1x1 back
};

enum class ResNetStem {
  large,  ///< 7x7 convolution and pooling: a quarter of height and width
  small,  ///< 3x3 convolution of stride 1 without pooling, for images of 28 to 64 pixels
};

/// What a normalisation's mean and variance are.
enum class ResNetNorm {
  batch,   ///< those of the batch in training, running ones afterwards
  frozen,  ///< the running ones always; nothing of a normalisation is trained
};

struct ResNetOptions {
  std::int64_t image_size = 224, channels = 3, classes = 1000;
  ResNetBlock block = ResNetBlock::bottleneck;
  std::vector<std::int64_t> blocks{3, 4, 6, 3}, widths{256, 512, 1024, 2048};
  std::int64_t stem_width = 64;
  ResNetStem stem = ResNetStem::large;
  bool dilate_last = false;
  ResNetNorm norm = ResNetNorm::batch;
  double norm_epsilon = 1e-5, norm_momentum = 0.1;
  bool zero_last_gain = false;

  template <class V>
  void visit(V& v) {
    v("image_size", image_size, "height and width of the images, in pixels", V::between(1, 16384));
    v("channels", channels, "channels of the images: 1 grey, 3 colour", V::between(1, 64));
    v("classes", classes, "number of classes; 0: as many as the data has", V::between(0, 1e6)).of_use();
    visit_body(v);
  }
  /// All but the images and the classifier, for a model that contains this one.
  template <class V>
  void visit_body(V& v) {
    v("block", block, "basic: two 3x3 convolutions (ResNet-18, 34); bottleneck: 1x1, 3x3, 1x1 (50, 101, 152)",
      {{"basic", ResNetBlock::basic}, {"bottleneck", ResNetBlock::bottleneck}});
    v("blocks", blocks, "blocks of each stage", V::between(1, 1024));
    v("widths", widths, "channels that each stage gives; of bottlenecks multiples of 4", V::between(1, 65536));
    v("stem_width", stem_width, "channels of the stem", V::between(1, 65536));
    v("stem", stem,
      "large: 7x7 convolution and pooling, each of stride 2; small: 3x3 convolution of stride 1, for images of 28 to 64 pixels",
      {{"large", ResNetStem::large}, {"small", ResNetStem::small}});
    v("dilate_last", dilate_last, "the last stage keeps height and width, and its 3x3 convolutions reach twice as far (DC5 of DETR)");
    v("norm", norm,
      "batch: normalise by the batch in training; frozen: by the running statistics, which stay as they are, like gain and offset",
      {{"batch", ResNetNorm::batch}, {"frozen", ResNetNorm::frozen}});
    v("norm_epsilon", norm_epsilon, "epsilon of the normalisations", V::positive());
    v("norm_momentum", norm_momentum, "share of the newest batch in the running statistics", V::between(0, 1)).of_training();
    v("zero_last_gain", zero_last_gain, "the last normalisation of a block starts with gain 0, so that the block starts as its shortcut")
        .of_training();
  }
};

/// A published size.
struct ResNetSize {
  std::string_view name;
  ResNetBlock block;
  std::array<std::int64_t, 4> blocks;
};
inline constexpr std::array<ResNetSize, 5> kResNetSizes{{{"resnet18", ResNetBlock::basic, {2, 2, 2, 2}},
                                                         {"resnet34", ResNetBlock::basic, {3, 4, 6, 3}},
                                                         {"resnet50", ResNetBlock::bottleneck, {3, 4, 6, 3}},
                                                         {"resnet101", ResNetBlock::bottleneck, {3, 4, 23, 3}},
                                                         {"resnet152", ResNetBlock::bottleneck, {3, 8, 36, 3}}}};
/// The options of a published size.
ResNetOptions resnet_options(const ResNetSize& size);

/// Throws ConfigError for options that do not fit each other.
void check(const ResNetOptions& options);

/// What a block is made for.
struct ResNetBlockOptions {
  ResNetBlock kind = ResNetBlock::bottleneck;
  std::int64_t in = 0, out = 0;
  std::int64_t stride = 1;
  std::int64_t first_dilation = 1, dilation = 1;  ///< of the first 3x3 convolution, and of the second of a basic block

  std::int64_t inner() const { return kind == ResNetBlock::basic ? out : out / 4; }
  bool projects() const { return in != out || stride != 1; }  ///< its shortcut has a convolution
};
/// The blocks of a network, by stage. The first block of a dilated stage still reads places side by side, as in torchvision.
std::vector<std::vector<ResNetBlockOptions>> resnet_blocks(const ResNetOptions& options);

class ResNet {
 public:
  /// Throws ConfigError as check(options) does.
  ResNet(const Scope& scope, const ResNetOptions& options);
  ResNet(ResNet&&) noexcept;
  ResNet& operator=(ResNet&&) noexcept;
  ~ResNet();

  /// images [B, C, H, W] -> what the last stage gives: [B, width, H', W'] with H' = H / 32 rounded up step by step (large stem), / 16 if
  /// the last stage is dilated, / 8 and / 4 with the small stem. It may lie with its channels last.
  Tensor features(const Tensor& images, const Run& run) const;
  /// images [B, C, H, W] -> [B, classes]. Throws ConfigError where options.classes is 0: then there is no classifier.
  Tensor logits(const Tensor& images, const Run& run) const;

  /// All parameters with a row for each class.
  std::vector<Parameter> class_parameters() const;
  const ResNetOptions& options() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

/// Height and width of the features of an image.
std::pair<std::int64_t, std::int64_t> feature_size(const ResNetOptions& options, std::int64_t height, std::int64_t width);
/// The fewest images of a training batch: batch normalisation needs two elements a channel.
std::int64_t smallest_training_batch(const ResNetOptions& options, std::int64_t height, std::int64_t width);

}  // namespace capstan::nn
