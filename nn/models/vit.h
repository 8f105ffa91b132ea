#pragma once
// The vision transformer (Dosovitskiy et al., "An image is worth 16x16 words", 2021), alone or behind a stem of
// convolutions or the ResNet of its hybrid.
//
//     x = dropout([class token; patches] + positions)
//     each layer (pre-norm):  x = x + attention(LN(x));  x = x + MLP(LN(x))
//     logits = classifier(LN(x)[class token])            or of the mean over patches, with a tanh layer between if there is one
//
// Images of another size than options.image_size are taken as they are: positions are interpolated to their grid. Sizes must be multiples
// of the patch size. The model computes in the element type of the images (f32 or bf16); logits are f32 (f64 in an f64 store).

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/models/vit_options.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

/// Throws ConfigError for options that do not fit each other or images of image_size x image_size pixels, a number that comes from `key`
/// of the configuration. A model takes images of another size than its own, but only of whole patches.
void check(const VitOptions& options, std::int64_t image_size, std::string_view key = "model.image_size");

class Vit {
 public:
  /// Throws ConfigError as check(options, options.image_size) does.
  Vit(const Scope& scope, const VitOptions& options);
  Vit(Vit&&) noexcept;
  Vit& operator=(Vit&&) noexcept;
  ~Vit();

  /// images [B, C, H, W] -> [B, classes]. run.token_ids, if defined, is i64 [B] and names the samples, so that what is dropped out of a
  /// sample does not depend on its batch (in training the global sample number within the step, for example). Only a stem of convolutions
  /// lets the images of a batch meet in training: in the statistics of its batch normalisation.
  Tensor logits(const Tensor& images, const Run& run) const;

  struct WithAttention {
    Tensor logits;                      ///< [B, classes]
    std::vector<Tensor> probabilities;  ///< of each layer: [B, heads, T, T] before dropout, constants
  };
  /// Also what attends to what. Token 0 is the class token if there is one, then patches row by row.
  WithAttention with_attention(const Tensor& images, const Run& run) const;

  /// Rows and columns of patches of an image. Throws ShapeError if the size does not fit.
  std::pair<std::int64_t, std::int64_t> grid(std::int64_t image_height, std::int64_t image_width) const;
  bool has_class_token() const;
  /// All parameters with a row for each class.
  std::vector<Parameter> class_parameters() const;
  const VitOptions& options() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

/// The fewest images of a training batch: batch normalisation needs two elements a channel.
std::int64_t smallest_training_batch(const VitOptions& options, std::int64_t image_height, std::int64_t image_width);

}  // namespace capstan::nn
