#include "nn/models/vit_conv_stem.h"

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"

namespace capstan::nn {
namespace {

// Places of a 3x3 window with one row of padding along an axis.
std::int64_t places(std::int64_t size, std::int64_t stride) { return (size + stride - 1) / stride; }

}  // namespace

VitConvStem::VitConvStem(const Scope& scope, const VitOptions& o) {
  std::int64_t in = o.channels;
  for (std::size_t i = 0; i < o.stem_channels.size(); ++i) {
    const Scope place = scope / static_cast<std::int64_t>(i);
    const std::int64_t out = o.stem_channels[i];
    const Conv2dOptions conv{.in = in, .out = out, .kernel = 3, .stride = o.stem_strides[i], .padding = padding(1), .bias = false};
    layers_.push_back({.conv = {place / "conv", conv}, .norm = {place / "norm", {.channels = out}}});
    in = out;
  }
}

Tensor VitConvStem::operator()(const Tensor& images, const Run& run) const {
  Tensor x = images;
  for (const Layer& layer : layers_) x = relu(layer.norm(layer.conv(x), run));
  return x;
}

void VitConvStem::check(const VitOptions& o) {
  require<ConfigError>(!o.stem_channels.empty() && o.stem_channels.size() == o.stem_strides.size(),
                       "vit: model.stem_channels and model.stem_strides need one number for each convolution, got ", o.stem_channels.size(),
                       " and ", o.stem_strides.size());
}

std::int64_t VitConvStem::channels(const VitOptions& options) { return options.stem_channels.back(); }

std::pair<std::int64_t, std::int64_t> VitConvStem::feature_size(const VitOptions& o, std::int64_t height, std::int64_t width) {
  for (const std::int64_t stride : o.stem_strides) {
    height = places(height, stride);
    width = places(width, stride);
  }
  return {height, width};
}

double VitConvStem::multiply_adds(const VitOptions& o, std::int64_t height, std::int64_t width) {
  double total = 0;
  std::int64_t in = o.channels;
  for (std::size_t i = 0; i < o.stem_channels.size(); ++i) {
    height = places(height, o.stem_strides[i]);
    width = places(width, o.stem_strides[i]);
    total += static_cast<double>(height * width) * static_cast<double>(9 * in * o.stem_channels[i]);
    in = o.stem_channels[i];
  }
  return total;
}

}  // namespace capstan::nn
