#include "data/image/pipeline.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data {

ImagePipeline::ImagePipeline(PipelineOptions options) : options_(std::move(options)) {
  require<ConfigError>(options_.size > 0 && options_.crop_share > 0 && options_.crop_share <= 1,
                       "image pipeline: needs a size above 0 and a crop share in 0 .. 1, got ", options_.size, " and ",
                       options_.crop_share);
  options_.normalization.check(options_.channels);
}

Image ImagePipeline::shown(const ImageView& image) const {
  const std::int64_t size = options_.size;
  const auto side = static_cast<std::int64_t>(std::floor(static_cast<double>(size) / options_.crop_share));
  if (std::min(image.height, image.width) == side) return with_channels(centre_crop(image, size, size), options_.channels);
  // Only what the crop keeps is computed: scaled as a whole, a strip of 1 x 60000 pixels would be far larger than the limit on pixels that
  // its file was held to. No image that was decoded fails here.
  const auto [height, width] = shorter_side_size(image, side);
  const Image scaled = resize_part(image, height, width, centre_of(height, width, size, size), options_.filter);
  return with_channels(scaled, options_.channels);
}

void ImagePipeline::for_evaluation(const ImageView& image, std::span<float> out) const {
  normalize(shown(image), options_.normalization, out);
}

void ImagePipeline::for_training(const ImageView& image, std::uint64_t key, std::span<float> out) const {
  Rng rng(key);
  const PipelineOptions& o = options_;
  Image x;
  switch (o.crop) {
    case TrainingCrop::none: x = shown(image); break;
    case TrainingCrop::padded: x = random_pad_crop(shown(image), o.padding, 0, rng); break;
    case TrainingCrop::resized_area:
      x = with_channels(resize(random_area(image, o.resized_crop, rng), o.size, o.size, o.filter), o.channels);
  }
  if (o.flip > 0 && rng.uniform() < o.flip) flip_horizontal(x);
  color_jitter(x, o.color_jitter, rng);
  rand_augment(x, o.rand_augment, rng);
  normalize(x, o.normalization, out);
  random_erase(out, o.channels, o.size, o.size, o.erasing, rng);
}

}  // namespace capstan::data
