#include "nn/conv_stem.h"

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"

namespace capstan::nn {
namespace {

// Places of a 3x3 window with one row of padding along an axis.
std::int64_t places(std::int64_t size, std::int64_t stride) { return (size + stride - 1) / stride; }

}  // namespace

ConvStem::ConvStem(const Scope& scope, const ConvStemOptions& o) {
  std::int64_t in = o.in;
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    const Scope place = scope / static_cast<std::int64_t>(i);
    const std::int64_t out = o.channels[i];
    const Conv2dOptions conv{.in = in, .out = out, .kernel = 3, .stride = o.strides[i], .padding = padding(1), .bias = false};
    layers_.push_back({.conv = {place / "conv", conv}, .norm = {place / "norm", {.channels = out}}});
    in = out;
  }
}

Tensor ConvStem::operator()(const Tensor& images, const Run& run) const {
  Tensor x = images;
  for (const Layer& layer : layers_) x = relu(layer.norm(layer.conv(x), run));
  return x;
}

void ConvStem::check(const ConvStemOptions& o, std::string_view model) {
  require<ConfigError>(!o.channels.empty() && o.channels.size() == o.strides.size(), model,
                       ": model.stem_channels and model.stem_strides need one number for each convolution, got ", o.channels.size(),
                       " and ", o.strides.size());
}

std::pair<std::int64_t, std::int64_t> ConvStem::feature_size(const ConvStemOptions& o, std::int64_t height, std::int64_t width) {
  for (const std::int64_t stride : o.strides) {
    height = places(height, stride);
    width = places(width, stride);
  }
  return {height, width};
}

}  // namespace capstan::nn
