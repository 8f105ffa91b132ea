#pragma once
// Batch: images and classes as tensors. A training batch is a function of (seed, epoch, place) alone.

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/pipeline.h"
#include "recipes/vit/dataset.h"
#include "recipes/vit/options.h"

namespace capstan::vit {

struct Batch {
  Tensor images;                          ///< f32 [B, C, H, W]
  Tensor labels;                          ///< i64 [B]
  Tensor targets;                         ///< f32 [B, classes] of a mixed batch, label smoothing included; otherwise undefined
  Tensor samples;                         ///< i64 [B]: numbers of the samples within the training part
  std::vector<std::uint8_t> substitutes;  ///< [B]: 1 where another image stands in for a broken file

  std::int64_t size() const { return labels.size(0); }
};

/// The training images of places first .. first + count - 1 of an epoch, fewer at its end; `number` is the batch's within the epoch.
Batch training_batch(const Dataset& data, const data::ImagePipeline& pipeline, const AugmentOptions& augment, std::uint64_t seed,
                     std::int64_t epoch, std::int64_t number, std::int64_t first, std::int64_t count);

/// Images first .. first + count - 1 of a part as evaluation sees them, fewer at its end.
Batch evaluation_batch(const Dataset& data, Part part, const data::ImagePipeline& pipeline, std::int64_t first, std::int64_t count);

/// Random numbers of this shape, for `capstan bench`; with targets if the options mix batches.
Batch random_batch(const data::PipelineOptions& pipeline, const AugmentOptions& augment, std::int64_t classes, std::int64_t count,
                   std::uint64_t key);

}  // namespace capstan::vit
