#include "data/image/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/core/error.h"
#include "data/image/resize.h"

namespace capstan::data {
namespace {

/// Dark blue, purple, orange, light yellow.
std::array<float, 3> heat_colour(float v) {
  static constexpr std::array<std::array<float, 3>, 4> stops{{{10, 10, 60}, {140, 30, 130}, {245, 110, 40}, {255, 250, 170}}};
  const float at = std::clamp(v, 0.0f, 1.0f) * 3;
  const auto low = std::min<std::size_t>(static_cast<std::size_t>(at), 2);
  std::array<float, 3> c{};
  for (std::size_t k = 0; k < 3; ++k) c[k] = stops[low][k] + (at - static_cast<float>(low)) * (stops[low + 1][k] - stops[low][k]);
  return c;
}

}  // namespace

Image mask_of(std::span<const float> weights, std::int64_t rows, std::int64_t columns, std::int64_t height, std::int64_t width) {
  require<DataError>(std::ssize(weights) == rows * columns && !weights.empty(), "heat map: ", weights.size(), " weights are not a grid of ",
                     rows, " x ", columns);
  for (const float w : weights) require<DataError>(std::isfinite(w) && w >= 0, "heat map: a weight must be a number from 0 on, got ", w);
  const float most = *std::ranges::max_element(weights);
  Image mask(rows, columns, 1);
  for (std::size_t i = 0; i < weights.size(); ++i)
    mask.pixels[i] = static_cast<std::uint8_t>(most > 0 ? std::lround(255 * (weights[i] / most)) : 0);
  return resize(mask, height, width, Filter::bilinear);
}

Image masked(const Image& image, const Image& mask) {
  Image out = image;
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i < out.pixels.size(); ++i)
    out.pixels[i] = static_cast<std::uint8_t>(out.pixels[i] * mask.pixels[i / channels] / 255);
  return out;
}

Image heat_map(const Image& image, const Image& mask) {
  const Image grey = with_channels(image, 1);
  Image out = with_channels(image, 3);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) {
    const auto c = heat_colour(static_cast<float>(mask.pixels[i]) / 255);
    for (std::size_t k = 0; k < 3; ++k)
      out.pixels[3 * i + k] = static_cast<std::uint8_t>(0.4f * static_cast<float>(grey.pixels[i]) + 0.6f * c[k]);
  }
  return out;
}

}  // namespace capstan::data
