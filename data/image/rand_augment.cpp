#include "data/image/rand_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

template <class F>
Table table_of(const F& f) {
  Table t;
  for (int v = 0; v < 256; ++v) t[static_cast<std::size_t>(v)] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(f(v), 0, 255));
  return t;
}

void apply_table(Image& image, const Table& t) {
  for (std::uint8_t& v : image.pixels) v = t[v];
}

/// A table for each channel, made from its histogram.
template <class F>
void apply_by_histogram(Image& image, const F& make) {
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    Histogram h{};
    for (std::size_t i = c; i < image.pixels.size(); i += channels) ++h[image.pixels[i]];
    const Table t = make(h);
    for (std::size_t i = c; i < image.pixels.size(); i += channels) image.pixels[i] = t[image.pixels[i]];
  }
}

/// The used range stretched to 0 .. 255.
Table stretched(const Histogram& h) {
  int low = 0, high = 255;
  while (low < 255 && h[static_cast<std::size_t>(low)] == 0) ++low;
  while (high > 0 && h[static_cast<std::size_t>(high)] == 0) --high;
  if (high <= low) return table_of([](int v) { return v; });
  const double scale = 255.0 / (high - low), offset = -low * scale;
  return table_of([&](int v) { return static_cast<std::int64_t>(v * scale + offset); });
}

/// Every value about equally often.
Table equalized(const Histogram& h) {
  const std::int64_t total = std::accumulate(h.begin(), h.end(), std::int64_t{0});
  const auto last = std::find_if(h.rbegin(), h.rend(), [](std::int64_t n) { return n > 0; });
  const std::int64_t step = last == h.rend() ? 0 : (total - *last) / 255;
  if (step == 0) return table_of([](int v) { return v; });
  std::int64_t n = step / 2;
  return table_of([&](int v) {
    const std::int64_t mapped = n / step;
    n += h[static_cast<std::size_t>(v)];
    return mapped;
  });
}

/// from + factor (to - from), cut to bytes; `from` is what factor 0 would give.
std::uint8_t blended(int from, int to, float factor) {
  const float v = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return v <= 0 ? std::uint8_t{0} : v >= 255 ? std::uint8_t{255} : static_cast<std::uint8_t>(v);
}

void brighten(Image& image, float factor) {
  apply_table(image, table_of([&](int v) { return static_cast<std::int64_t>(blended(0, v, factor)); }));
}

void change_contrast(Image& image, float factor) {
  const Image grey = with_channels(image, 1);
  double sum = 0;
  for (const std::uint8_t v : grey.pixels) sum += v;
  const int mean = static_cast<int>(sum / static_cast<double>(grey.pixels.size()) + 0.5);
  apply_table(image, table_of([&](int v) { return static_cast<std::int64_t>(blended(mean, v, factor)); }));
}

void change_color(Image& image, float factor) {
  if (image.channels == 1) return;
  const Image grey = with_channels(image, 1);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = blended(grey.pixels[i], image.pixels[3 * i + c], factor);
}

/// Against the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13; the border stays.
void sharpen(Image& image, float factor) {
  const Image source = image;
  const std::int64_t c = image.channels, n = source.stride();
  for (std::int64_t y = 1; y + 1 < image.height; ++y) {
    const std::uint8_t *above = source.row(y - 1), *here = source.row(y), *below = source.row(y + 1);
    std::uint8_t* to = image.row(y);
    for (std::int64_t i = c; i < n - c; ++i) {
      const int ring = above[i - c] + above[i] + above[i + c] + here[i - c] + here[i + c] + below[i - c] + below[i] + below[i + c];
      const int smooth = (2 * (ring + 5 * here[i]) + 13) / 26;  // rounded
      to[i] = blended(smooth, here[i], factor);
    }
  }
}

/// The target's pixel centre (x, y) shows the source at (a x + b y + c, d x + e y + f), interpolated between pixel centres.
struct Affine {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

template <int C>
void warp(Image& image, const Affine& m, const std::array<std::uint8_t, 3>& fill) {
  const Image source = image;
  const std::int64_t height = image.height, width = image.width;
  for (std::int64_t y = 0; y < height; ++y) {
    std::uint8_t* to = image.row(y);
    for (std::int64_t x = 0; x < width; ++x, to += C) {
      const double px = static_cast<double>(x) + 0.5, py = static_cast<double>(y) + 0.5;
      const double sx = m.a * px + m.b * py + m.c, sy = m.d * px + m.e * py + m.f;
      if (sx < 0 || sx >= static_cast<double>(width) || sy < 0 || sy >= static_cast<double>(height)) {
        for (int k = 0; k < C; ++k) to[k] = fill[static_cast<std::size_t>(k)];
        continue;
      }
      const double fx = std::floor(sx - 0.5), fy = std::floor(sy - 0.5), wx = sx - 0.5 - fx, wy = sy - 0.5 - fy;
      const auto x0 = static_cast<std::int64_t>(fx), y0 = static_cast<std::int64_t>(fy);
      const std::int64_t left = std::max<std::int64_t>(x0, 0) * C, right = std::min(x0 + 1, width - 1) * C;
      const std::uint8_t* upper = source.row(std::max<std::int64_t>(y0, 0));
      const std::uint8_t* lower = source.row(std::min(y0 + 1, height - 1));
      for (int k = 0; k < C; ++k) {
        const double u = upper[left + k] + wx * (upper[right + k] - upper[left + k]);
        const double l = lower[left + k] + wx * (lower[right + k] - lower[left + k]);
        to[k] = static_cast<std::uint8_t>(u + wy * (l - u));
      }
    }
  }
}

Affine rotation(double degrees, std::int64_t height, std::int64_t width) {
  const double angle = -degrees * std::numbers::pi / 180, cx = static_cast<double>(width) / 2, cy = static_cast<double>(height) / 2;
  Affine m{std::cos(angle), std::sin(angle), 0, -std::sin(angle), std::cos(angle), 0};
  m.c = cx - m.a * cx - m.b * cy;
  m.f = cy - m.d * cx - m.e * cy;
  return m;
}

void warp(Image& image, const Affine& m, const std::array<std::uint8_t, 3>& fill) {
  if (image.channels == 1) {
    warp<1>(image, m, fill);
  } else {
    warp<3>(image, m, fill);
  }
}

}  // namespace

std::span<const AugmentOp> ops_of(AugmentOps set) {
  using enum AugmentOp;
  // What both share stands in the middle.
  static constexpr std::array all{identity,   auto_contrast, equalize, rotate,  posterize,   solarize,    color,  contrast,
                                  brightness, sharpness,     shear_x,  shear_y, translate_x, translate_y, invert, solarize_add};
  return set == AugmentOps::paper ? std::span(all).first(14) : std::span(all).subspan(1);
}

RandAugment timm_rand_augment() {
  RandAugment o;
  o.ops = AugmentOps::timm;
  o.layers = 2;
  o.magnitude = 9;
  o.magnitude_deviation = 0.5;
  o.probability = 0.5;
  return o;
}

double value_of_level(AugmentOp op, double level, bool negative) {
  const double share = level / 10, sign = negative ? -1 : 1;
  switch (op) {
    using enum AugmentOp;
    case identity:
    case auto_contrast:
    case equalize:
    case invert: return 0;
    case rotate: return sign * 30 * share;
    case posterize: return 4 - std::floor(share * 4);
    case solarize: return 256 - std::floor(share * 256);
    case solarize_add: return std::floor(share * 110);
    case color:
    case contrast:
    case brightness:
    case sharpness: return std::max(0.1, 1 + sign * 0.9 * share);
    case shear_x:
    case shear_y: return sign * 0.3 * share;
    case translate_x:
    case translate_y: return sign * 0.45 * share;
  }
  throw InternalError("rand_augment: unknown operation");
}

void apply_op(Image& image, AugmentOp op, double value, const std::array<std::uint8_t, 3>& fill) {
  const auto factor = static_cast<float>(value);
  switch (op) {
    using enum AugmentOp;
    case identity: return;
    case auto_contrast: return apply_by_histogram(image, stretched);
    case equalize: return apply_by_histogram(image, equalized);
    case invert: return apply_table(image, table_of([](int v) { return 255 - v; }));
    case posterize: {
      const int bits = std::clamp(static_cast<int>(value), 0, 8), mask = 0xff & ~((1 << (8 - bits)) - 1);
      return apply_table(image, table_of([&](int v) { return v & mask; }));
    }
    case solarize: return apply_table(image, table_of([&](int v) { return v < value ? v : 255 - v; }));
    case solarize_add: return apply_table(image, table_of([&](int v) { return v < 128 ? v + static_cast<int>(value) : v; }));
    case color: return change_color(image, factor);
    case contrast: return change_contrast(image, factor);
    case brightness: return brighten(image, factor);
    case sharpness: return sharpen(image, factor);
    case rotate: return warp(image, rotation(value, image.height, image.width), fill);
    case shear_x: return warp(image, {.b = value}, fill);
    case shear_y: return warp(image, {.d = value}, fill);
    case translate_x: return warp(image, {.c = value * static_cast<double>(image.width)}, fill);
    case translate_y: return warp(image, {.f = value * static_cast<double>(image.height)}, fill);
  }
}

void rand_augment(Image& image, const RandAugment& o, Rng& rng) {
  if (o.layers <= 0) return;
  const std::span<const AugmentOp> ops = ops_of(o.ops);
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const AugmentOp op = ops[rng.below(ops.size())];
    if (o.probability < 1 && rng.uniform() >= o.probability) continue;
    const double level = o.magnitude_deviation > 0 ? o.magnitude + o.magnitude_deviation * rng.normal() : o.magnitude;
    apply_op(image, op, value_of_level(op, std::clamp(level, 0.0, 10.0), (rng() & 1u) != 0), o.fill);
  }
}

}  // namespace capstan::data
