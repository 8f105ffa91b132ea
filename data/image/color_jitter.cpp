#include "data/image/color_jitter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "data/image/rand_augment.h"

namespace capstan::data {
namespace {

/// Of a byte each: the circle of hues has 256 places, of which 255 are a full turn.
struct HueSaturationValue {
  std::uint8_t hue, saturation, value;
};

// Single precision where the Python Imaging Library has it: the results are cut to whole numbers, not rounded.
HueSaturationValue hue_of(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2], most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, static_cast<std::uint8_t>(most)};
  const auto range = static_cast<float>(most - least);
  const auto below = [&](int v) { return static_cast<double>(static_cast<float>(most - v) / range); };
  const double sixths = r == most ? below(b) - below(g) : g == most ? 2 + below(r) - below(b) : 4 + below(g) - below(r);
  const auto turns = static_cast<float>(std::fmod(static_cast<double>(static_cast<float>(sixths)) / 6 + 1, 1.0));
  return {static_cast<std::uint8_t>(static_cast<double>(turns) * 255),
          static_cast<std::uint8_t>(static_cast<double>(range / static_cast<float>(most)) * 255), static_cast<std::uint8_t>(most)};
}

void set_hue(std::uint8_t* rgb, const HueSaturationValue& c) {
  const std::uint8_t v = c.value;
  const double sixths = c.hue * 6.0 / 255, whole = std::floor(sixths);
  const auto part = static_cast<float>(sixths - whole), s = static_cast<float>(c.saturation / 255.0);
  const auto dimmed = [&](double share) { return static_cast<std::uint8_t>(std::round(v * (1 - share))); };
  const std::uint8_t low = dimmed(static_cast<double>(s)), falling = dimmed(static_cast<double>(s * part)),
                     rising = dimmed(static_cast<double>(s) * (1 - static_cast<double>(part)));
  const std::array<std::array<std::uint8_t, 3>, 6> sectors{
      {{v, rising, low}, {falling, v, low}, {low, v, rising}, {low, falling, v}, {rising, low, v}, {v, low, falling}}};
  std::ranges::copy(sectors[static_cast<std::size_t>(whole) % 6], rgb);
}

}  // namespace

void shift_hue(Image& image, double turns) {
  if (image.channels == 1) return;
  const int steps = static_cast<int>(turns * 255);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    HueSaturationValue c = hue_of(&image.pixels[i]);
    c.hue = static_cast<std::uint8_t>(c.hue + steps);
    set_hue(&image.pixels[i], c);
  }
}

void color_jitter(Image& image, const ColorJitter& o, Rng& rng) {
  enum class Part : std::uint8_t { brightness, contrast, saturation, hue };
  if (o.brightness <= 0 && o.contrast <= 0 && o.saturation <= 0 && o.hue <= 0) return;
  std::array parts{Part::brightness, Part::contrast, Part::saturation, Part::hue};
  rng.shuffle(std::span<Part>(parts));
  const auto change = [&](AugmentOp op, double most) {
    if (most > 0) apply_op(image, op, rng.uniform(std::max(0.0, 1 - most), 1 + most));
  };
  for (const Part part : parts) switch (part) {
      case Part::brightness: change(AugmentOp::brightness, o.brightness); break;
      case Part::contrast: change(AugmentOp::contrast, o.contrast); break;
      case Part::saturation: change(AugmentOp::color, o.saturation); break;
      case Part::hue:
        if (o.hue > 0) shift_hue(image, rng.uniform(-o.hue, o.hue));
    }
}

}  // namespace capstan::data
