#pragma once
// Batch: images of unlike sizes in one tensor, each in the upper left corner, with their objects. A training batch is a function of (seed,
// epoch, numbers of its images) alone. A part of one is padded as the whole one is, because what a network sees at the border of an image
// depends on the padding beside it.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/detection/annotations.h"
#include "data/detection/augment.h"
#include "data/image/image.h"
#include "data/image/transforms.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/matching.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// An image of a batch.
struct BatchImage {
  std::int64_t number = 0;                ///< of the sample within its part
  std::int64_t height = 0, width = 0;     ///< pixels, before it was resized
  std::vector<std::int64_t> labels = {};  ///< of the objects to learn
  std::vector<data::Centre> boxes = {};   ///< the same, as shares of the image
  Objects objects() const { return {.labels = labels, .boxes = boxes}; }
};

struct Batch {
  Tensor images;  ///< f32 [B, C, H, W]; 0 behind the normalisation where there is padding
  Tensor real;    ///< u8 [B, H, W], 0 for padding; undefined: there is none
  std::vector<BatchImage> parts;

  /// i64 [B]: the numbers of the samples.
  Tensor numbers() const;
  std::int64_t size() const { return std::ssize(parts); }
  std::int64_t objects() const;
};

/// What all images of a run have in common.
struct ImageForm {
  std::int64_t channels = 3;
  data::Normalization normalization = {};
  std::int64_t side = 800, longest = 1333;  ///< in evaluation
  data::Filter filter = data::Filter::bilinear;
};

ImageForm form_of(const Options& options, std::int64_t channels);

/// Resized pixels, side by side in one tensor: images of form.channels.
struct Pixels {
  Tensor images, real;
};
/// At least of this size.
Pixels padded(std::span<const data::Image> images, const ImageForm& form, std::int64_t height = 0, std::int64_t width = 0);
/// An image as evaluation sees it.
data::Image for_evaluation(const data::ImageView& image, const ImageForm& form);

/// Throws DataError naming an image with more than `queries` objects.
Batch training_batch(const Dataset& data, const data::BoxAugmentation& augmentation, const ImageForm& form, std::int64_t queries,
                     std::uint64_t seed, const engine::Samples& samples);
/// Images of a split as evaluation sees them; their objects serve the loss, those in excess of `queries` are left out.
Batch evaluation_batch(const Dataset& data, engine::Split split, const ImageForm& form, std::int64_t queries,
                       std::span<const std::int64_t> indices);
/// Random images of form.side x form.side with ten objects each (fewer queries: as many), for `capstan bench`.
Batch random_batch(const ImageForm& form, std::int64_t classes, std::int64_t queries, std::int64_t count, std::uint64_t key);

}  // namespace capstan::detection
