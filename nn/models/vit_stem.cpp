#include "nn/models/vit_stem.h"

namespace capstan::nn {

ConvStemOptions conv_stem_options(const VitOptions& o) {
  return {.in = o.channels, .channels = o.stem_channels, .strides = o.stem_strides};
}

VitImageStem::VitImageStem(const Scope& scope, const VitOptions& o) {
  if (o.stem == VitStem::convolutions) stem_.emplace<ConvStem>(scope, conv_stem_options(o));
  if (o.stem == VitStem::resnet) stem_.emplace<VitResnetStem>(scope, o);
}

Tensor VitImageStem::operator()(const Tensor& images, const Run& run) const {
  if (const auto* convolutions = std::get_if<ConvStem>(&stem_)) return (*convolutions)(images, run);
  if (const auto* resnet = std::get_if<VitResnetStem>(&stem_)) return (*resnet)(images);
  return images;
}

std::int64_t VitImageStem::channels(const VitOptions& o) {
  if (o.stem == VitStem::convolutions) return o.stem_channels.back();
  return o.stem == VitStem::resnet ? VitResnetStem::channels(o) : o.channels;
}

std::pair<std::int64_t, std::int64_t> VitImageStem::feature_size(const VitOptions& o, std::int64_t height, std::int64_t width) {
  if (o.stem == VitStem::convolutions) return ConvStem::feature_size(conv_stem_options(o), height, width);
  return o.stem == VitStem::resnet ? VitResnetStem::feature_size(o, height, width) : std::pair{height, width};
}

}  // namespace capstan::nn
