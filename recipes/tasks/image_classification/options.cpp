#include "recipes/tasks/image_classification/options.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"

namespace capstan::image_classification {

void Options::validate(const ImageForm& form) const {
  require<ConfigError>(form.channels == 1 || form.channels == 3, "image_classification: model.channels must be 1 or 3, got ",
                       form.channels);
  data::normalization(data.mean, data.deviation, form.channels);  // throws unless it can be made
  require<ConfigError>(data.held_out < 1 || data.held_out == std::floor(data.held_out),
                       "image_classification: data.held_out must be a share below 1 or a whole number of images, got ", data.held_out);
  require<ConfigError>(augment.min_area <= augment.max_area && augment.min_ratio <= augment.max_ratio,
                       "image_classification: augment.min_area and min_ratio must not be above max_area and max_ratio, got ",
                       augment.min_area, " .. ", augment.max_area, " and ", augment.min_ratio, " .. ", augment.max_ratio);
}

data::PipelineOptions Options::pipeline(const ImageForm& form) const {
  data::PipelineOptions p;
  p.size = image_size(form);
  p.channels = form.channels;
  p.normalization = data::normalization(data.mean, data.deviation, form.channels);
  p.filter = evaluate.filter;
  p.crop_share = evaluate.crop_share;
  p.crop = augment.crop;
  p.padding = augment.padding;
  p.resized_crop = {augment.min_area, augment.max_area, augment.min_ratio, augment.max_ratio};
  p.flip = augment.flip;
  p.color_jitter = {.brightness = augment.brightness, .contrast = augment.contrast, .saturation = augment.saturation, .hue = augment.hue};
  p.rand_augment = {.ops = augment.rand_ops,
                    .layers = augment.rand_layers,
                    .magnitude = augment.rand_magnitude,
                    .magnitude_deviation = augment.rand_deviation,
                    .probability = augment.rand_probability};
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = p.normalization.mean[std::min(c, p.normalization.mean.size() - 1)];
    p.rand_augment.fill[c] = static_cast<std::uint8_t>(std::clamp(std::lround(mean * 255), 0l, 255l));
  }
  p.erasing.probability = augment.erase;
  return p;
}

}  // namespace capstan::image_classification
