#pragma once
// The Swin transformer (Liu et al., "Swin transformer: hierarchical vision transformer using shifted windows", 2021).
//
//     x = dropout(LN(patches) [+ positions])           or patches of what convolutions make of the image: for small data, not published
//     stage i, of width hidden_size * 2^i:
//       each block (pre-norm):  x = x + depth(attention within windows(LN(x)));  x = x + depth(MLP(LN(x)))
//                               the windows of every second block are moved by half their size
//       then, but for the last stage, merging: x = LN(four neighbours side by side) W, half the rows and columns, twice the width
//     logits = classifier(mean over tokens of LN(x))
//
// Images of another size than options.image_size are taken as they are: the maps of tokens have other sizes, windows stay what they are.
// The model computes in the element type of the images (f32 or bf16); logits are f32 (f64 in an f64 store).

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/models/swin_options.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

/// Throws ConfigError for options that do not fit each other or images of image_size x image_size pixels, a number that comes from `key`
/// of the configuration.
void check(const SwinOptions& options, std::int64_t image_size, std::string_view key = "model.image_size");

/// The map of tokens of a stage, from an image of this size. Throws ShapeError where padding is refused but needed.
std::pair<std::int64_t, std::int64_t> swin_grid(const SwinOptions& options, std::size_t stage, std::int64_t image_height,
                                                std::int64_t image_width);
/// The windows of a stage: window_size, or the whole map of an image of options.image_size if that is smaller.
std::int64_t swin_window(const SwinOptions& options, std::size_t stage);

class Swin {
 public:
  /// Throws ConfigError as check(options, options.image_size) does.
  Swin(const Scope& scope, const SwinOptions& options);
  Swin(Swin&&) noexcept;
  Swin& operator=(Swin&&) noexcept;
  ~Swin();

  /// images [B, C, H, W] -> [B, classes]. run.token_ids, if defined, is i64 [B] and names the samples, so that what is dropped out of a
  /// sample does not depend on its batch (in training the global sample number within the step, for example).
  Tensor logits(const Tensor& images, const Run& run) const;

  struct WithAttention {
    Tensor logits;                      ///< [B, classes]
    std::vector<Tensor> probabilities;  ///< of each block of the last stage: [B, heads, T, T] over all its T tokens, 0 between windows
    std::pair<std::int64_t, std::int64_t> grid;  ///< rows and columns of those tokens
  };
  /// Also what attends to what at the end, constants.
  WithAttention with_attention(const Tensor& images, const Run& run) const;

  /// All parameters with a row for each class.
  std::vector<Parameter> class_parameters() const;
  const SwinOptions& options() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

/// The fewest images of a training batch: batch normalisation needs two elements a channel.
std::int64_t smallest_training_batch(const SwinOptions& options, std::int64_t image_height, std::int64_t image_width);

}  // namespace capstan::nn
