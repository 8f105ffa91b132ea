#pragma once
// Network: what the task asks of a model. Whatever turns images into a score of each class fits.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::image_classification {

/// What a model's own section says about its images and classes.
struct ImageForm {
  std::int64_t size = 224;    ///< height and width that images have if data.image_size leaves it open
  std::int64_t channels = 3;  ///< 1 grey, 3 colour
  std::int64_t classes = 0;   ///< 0: as many as the data has
};

/// What the tokens of one image attend to: token 0 is the class token if there is one, then patches row by row.
struct Attention {
  std::vector<Tensor> probabilities;           ///< of each layer [1, heads, T, T]
  std::pair<std::int64_t, std::int64_t> grid;  ///< rows and columns of patches
  bool class_token = true;
};

struct Network {
  /// images [B, C, H, W], f32 or bf16 -> f32 [B, classes]. In training run.token_ids numbers the images, i64 [B].
  std::function<Tensor(const Tensor& images, const nn::Run& run)> logits;
  /// The fewest images of a batch of this size of images that can be trained on.
  std::function<std::int64_t(std::int64_t height, std::int64_t width)> smallest_batch = [](std::int64_t, std::int64_t) { return 1; };
  /// Parameters with a row for each class.
  std::vector<Parameter> class_parameters = {};
  /// images [1, C, H, W] -> what predict.pictures shows. Empty where a model has no attention over patches.
  std::function<Attention(const Tensor& image)> attention = {};
};

/// Builds the network for this number of classes below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t classes)>;

}  // namespace capstan::image_classification
