#pragma once
// Batch: images and classes as tensors. A training batch is a function of (seed, epoch, place, numbers of its images) alone. A part of one
// has what the whole one has there, for which it also reads the images elsewhere in the batch that its own are mixed with.
//
// With augment.repeats the engine gives each image that many places in a row; a place tells which of them it is, and each is drawn anew.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/pipeline.h"
#include "recipes/tasks/image_classification/dataset.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::image_classification {

struct Batch {
  Tensor images;                          ///< f32 [B, C, H, W]
  Tensor labels;                          ///< i64 [B]
  Tensor targets;                         ///< f32 [B, classes] of a mixed batch, label smoothing included; otherwise undefined
  Tensor samples;                         ///< i64 [B]: numbers of the images within their part; of each repeat one of its own
  std::vector<std::uint8_t> substitutes;  ///< [B]: 1 where another image stands in for a broken file

  std::int64_t size() const { return labels.size(0); }
};

/// Where training batches come from.
struct TrainingSource {
  const Dataset& data;
  const data::ImagePipeline& pipeline;
  const AugmentOptions& augment;
  const engine::Setup& setup;
};
Batch training_batch(const TrainingSource& from, const engine::Samples& samples);
/// The image at one place of the whole batch, [C, H, W], for which it reads no more than that one and what it is mixed with.
Tensor training_image(const TrainingSource& from, const engine::Samples& samples, std::int64_t place);

/// Images of a part as evaluation sees them.
Batch evaluation_batch(const Dataset& data, engine::Split part, const data::ImagePipeline& pipeline, std::span<const std::int64_t> indices);

/// Random numbers of this shape, for `capstan bench`; with targets if the options mix batches.
Batch random_batch(const data::PipelineOptions& pipeline, const AugmentOptions& augment, std::int64_t classes, std::int64_t count,
                   std::uint64_t key);

}  // namespace capstan::image_classification
