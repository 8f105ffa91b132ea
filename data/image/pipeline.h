#pragma once
// The usual way of an image into a batch, for training and for evaluation:
//
//     training    crop, flip, colour jitter, RandAugment, normalise, erase
//     evaluation  shorter side to size / crop_share, centre crop, normalise                  (no resize where nothing would change)
//
// A training image is a function of the image and a key; make it of (seed, epoch, index).

#include <cstdint>
#include <span>

#include "data/image/color_jitter.h"
#include "data/image/image.h"
#include "data/image/rand_augment.h"
#include "data/image/resize.h"
#include "data/image/transforms.h"

namespace capstan::data {

enum class TrainingCrop : std::uint8_t {
  none,          ///< as in evaluation
  padded,        ///< scaled to the target size, then moved by at most `padding` pixels
  resized_area,  ///< a random area scaled to the target size
};

struct PipelineOptions {
  std::int64_t size = 224;    ///< height and width of the result
  std::int64_t channels = 3;  ///< of the result: grey and colour are converted
  Normalization normalization = {};
  Filter filter = Filter::bicubic;
  double crop_share = 1;  ///< evaluation: side of the centre crop to the shorter side
  TrainingCrop crop = TrainingCrop::none;
  std::int64_t padding = 4;       ///< crop = padded
  ResizedCrop resized_crop = {};  ///< crop = resized_area
  double flip = 0;                ///< probability of a horizontal flip
  ColorJitter color_jitter = {};
  RandAugment rand_augment = {};
  RandomErasing erasing = {};
};

class ImagePipeline {
 public:
  /// Throws ConfigError if the normalisation does not fit the channels.
  explicit ImagePipeline(PipelineOptions options);

  /// Numbers of one result, [channels, size, size].
  std::int64_t numel() const { return options_.channels * options_.size * options_.size; }
  void for_training(const ImageView& image, std::uint64_t key, std::span<float> out) const;
  void for_evaluation(const ImageView& image, std::span<float> out) const;
  /// What evaluation shows the model, as bytes: [size, size, channels].
  Image shown(const ImageView& image) const;
  const PipelineOptions& options() const { return options_; }

 private:
  PipelineOptions options_;
};

}  // namespace capstan::data
