#include "recipes/vit/options.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "recipes/vit/stem.h"

namespace capstan::vit {
namespace {

/// One number for all channels, or one each.
std::vector<double> for_channels(const std::vector<double>& values, std::int64_t channels) {
  return values.size() == 1 ? std::vector<double>(static_cast<std::size_t>(channels), values[0]) : values;
}

}  // namespace

void Config::validate() const {
  validate_sizes();
  require<ConfigError>(model.channels == 1 || model.channels == 3, "vit: model.channels must be 1 or 3, got ", model.channels);
  for (const auto* list : {&data.mean, &data.deviation})
    require<ConfigError>(list->size() == 1 || static_cast<std::int64_t>(list->size()) == model.channels,
                         "vit: data.mean and data.deviation need one number or one for each of ", model.channels, " channels, got ",
                         data.mean.size(), " and ", data.deviation.size());
  require<ConfigError>(augment.min_area <= augment.max_area && augment.min_ratio <= augment.max_ratio,
                       "vit: augment.min_area and min_ratio must not be above max_area and max_ratio, got ", augment.min_area, " .. ",
                       augment.max_area, " and ", augment.min_ratio, " .. ", augment.max_ratio);
}

void Config::validate_sizes() const {
  require<ConfigError>(predict.pictures.empty() || model.layers > 0,
                       "vit: predict.pictures shows the attention of layers, but model.layers is ", model.layers);
  constexpr std::size_t kMaxStages = 8;  // width and stride double with each
  require<ConfigError>(model.stem != Stem::resnet || model.stem_blocks.size() <= kMaxStages, "vit: model.stem_blocks names ",
                       model.stem_blocks.size(), " stages, at most ", kMaxStages, " are possible");
  ConvStem::check(model);
  // The model takes images of another size than its own, but only of whole patches.
  const std::int64_t size = image_size();
  const bool stem = model.stem != Stem::patches;
  const std::int64_t source = ImageStem::feature_size(model, size, size).first;
  require<ConfigError>(source > 0 && source % model.patch_size == 0, "vit: model.patch_size must divide ",
                       stem ? "the size of the stem's features of " : "", data.image_size > 0 ? "data.image_size" : "model.image_size",
                       ": image_size ", size, stem ? join_text(", features ", source) : "", ", patch_size ", model.patch_size);
}

data::PipelineOptions Config::pipeline() const {
  data::PipelineOptions p;
  p.size = image_size();
  p.channels = model.channels;
  p.normalization = {for_channels(data.mean, model.channels), for_channels(data.deviation, model.channels)};
  p.filter = evaluate.filter;
  p.crop_share = evaluate.crop_share;
  p.crop = augment.crop;
  p.padding = augment.padding;
  p.resized_crop = {augment.min_area, augment.max_area, augment.min_ratio, augment.max_ratio};
  p.flip = augment.flip;
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

}  // namespace capstan::vit
