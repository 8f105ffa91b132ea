#include "recipes/vit/stem.h"

namespace capstan::vit {

ImageStem::ImageStem(const nn::Scope& scope, const ModelOptions& o) {
  if (o.stem == Stem::convolutions) stem_.emplace<ConvStem>(scope, o);
  if (o.stem == Stem::resnet) stem_.emplace<ResNetStem>(scope, o);
}

Tensor ImageStem::operator()(const Tensor& images, const nn::Run& run) const {
  if (const auto* convolutions = std::get_if<ConvStem>(&stem_)) return (*convolutions)(images, run);
  if (const auto* resnet = std::get_if<ResNetStem>(&stem_)) return (*resnet)(images);
  return images;
}

std::int64_t ImageStem::channels(const ModelOptions& o) {
  if (o.stem == Stem::convolutions) return ConvStem::channels(o);
  return o.stem == Stem::resnet ? ResNetStem::channels(o) : o.channels;
}

std::pair<std::int64_t, std::int64_t> ImageStem::feature_size(const ModelOptions& o, std::int64_t height, std::int64_t width) {
  if (o.stem == Stem::convolutions) return ConvStem::feature_size(o, height, width);
  return o.stem == Stem::resnet ? ResNetStem::feature_size(o, height, width) : std::pair{height, width};
}

double ImageStem::multiply_adds(const ModelOptions& o, std::int64_t height, std::int64_t width) {
  if (o.stem == Stem::convolutions) return ConvStem::multiply_adds(o, height, width);
  return o.stem == Stem::resnet ? ResNetStem::multiply_adds(o, height, width) : 0;
}

}  // namespace capstan::vit
