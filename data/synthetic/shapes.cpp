#include "data/synthetic/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>
#include <thread>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 6> kNames{"disc", "square", "triangle", "cross", "ring", "star"};
constexpr int kSamples = 4;  // per pixel and axis, for smooth edges

/// Whether (x, y) is inside a shape of radius 1 around (0, 0).
bool inside(std::int64_t label, double x, double y) {
  switch (label) {
    case 0: return std::hypot(x, y) <= 1;
    case 1: return std::max(std::abs(x), std::abs(y)) <= std::numbers::sqrt2 / 2;
    case 2: {  // three half planes at distance 1/2
      constexpr double s = 0.8660254037844386;
      return y <= 0.5 && s * x - 0.5 * y <= 0.5 && -s * x - 0.5 * y <= 0.5;
    }
    case 3: return std::min(std::abs(x), std::abs(y)) <= 0.3 && std::max(std::abs(x), std::abs(y)) <= 0.95;
    case 4: {
      const double r = std::hypot(x, y);
      return r <= 1 && r >= 0.6;
    }
    default: {  // five points: the radius falls from 1 to .4 within each tenth of a turn, along a straight edge
      const double tenth = std::numbers::pi / 5;
      const double angle = std::abs(std::remainder(std::atan2(x, -y), 2 * tenth));
      const double r = std::hypot(x, y), ax = std::cos(angle) * r, ay = std::sin(angle) * r, bx = 0.4 * std::cos(tenth),
                   by = 0.4 * std::sin(tenth);
      return (bx - 1) * ay - by * (ax - 1) >= 0;  // on the inner side of the line from (1, 0) to (bx, by)
    }
  }
}

using Colour = std::array<double, 3>;

struct Place {
  double radius = 0, x = 0, y = 0;
};

/// Where a shape covers little of those already there, or nothing if some tries find no such place.
std::optional<Place> free_place(const std::vector<ShapeObject>& others, const ShapesOptions& o, Rng& rng) {
  constexpr int kTries = 20;
  constexpr double kMostCovered = 0.1;  // of the smaller one's box
  const auto n = static_cast<double>(o.size);
  for (int i = 0; i < kTries; ++i) {
    Place p;
    p.radius = rng.uniform(o.min_extent, o.max_extent) * n / 2;
    p.x = rng.uniform(p.radius, n - p.radius);
    p.y = rng.uniform(p.radius, n - p.radius);
    const bool free = std::ranges::none_of(others, [&](const ShapeObject& s) {
      const double width = std::min(s.right, p.x + p.radius) - std::max(s.left, p.x - p.radius);
      const double height = std::min(s.bottom, p.y + p.radius) - std::max(s.top, p.y - p.radius);
      const double smaller = std::min((s.right - s.left) * (s.bottom - s.top), 4 * p.radius * p.radius);
      return width > 0 && height > 0 && width * height > kMostCovered * smaller;
    });
    if (free) return p;
  }
  return std::nullopt;
}

Colour draw_colour(double low, double high, Rng& rng) { return {rng.uniform(low, high), rng.uniform(low, high), rng.uniform(low, high)}; }

}  // namespace

ShapeImages::ShapeImages(const ShapesOptions& options) : options_(options) {
  const auto& o = options_;
  require<ConfigError>(o.size >= 16 && o.size <= 4096, "shapes: size must be between 16 and 4096, got ", o.size);
  require<ConfigError>(o.classes >= 2 && o.classes <= static_cast<std::int64_t>(kNames.size()), "shapes: classes must be between 2 and ",
                       kNames.size(), ", got ", o.classes);
  require<ConfigError>(o.max_objects >= 1 && o.max_objects <= 100, "shapes: max_objects must be between 1 and 100, got ", o.max_objects);
  require<ConfigError>(o.min_extent > 0 && o.min_extent <= o.max_extent && o.max_extent <= 1,
                       "shapes: needs 0 < min_extent <= max_extent <= 1, got ", o.min_extent, " and ", o.max_extent);
  require<ConfigError>(o.noise >= 0 && o.noise <= 100, "shapes: noise must be between 0 and 100, got ", o.noise);
}

std::vector<std::string> ShapeImages::names() const { return {kNames.begin(), kNames.begin() + options_.classes}; }

ShapeImage ShapeImages::get(std::int64_t index) const {
  Rng rng(random_key(options_.seed, "shapes", {static_cast<std::uint64_t>(index)}));
  const std::int64_t size = options_.size;
  const auto n = static_cast<double>(size);

  // A background of two colours that run into each other.
  const Colour ground = draw_colour(10, 110, rng), other = draw_colour(10, 110, rng);
  const double angle = rng.uniform(0, 2 * std::numbers::pi), waves = rng.uniform(0.3, 2) * 2 * std::numbers::pi / n;
  const double gx = std::cos(angle) * waves, gy = std::sin(angle) * waves;
  std::vector<double> canvas(static_cast<std::size_t>(size * size * 3));
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) {
      const double share = 0.5 * (0.5 + 0.5 * std::sin(gx * static_cast<double>(x) + gy * static_cast<double>(y)));
      for (std::size_t c = 0; c < 3; ++c)
        canvas[static_cast<std::size_t>((y * size + x) * 3) + c] = ground[c] + share * (other[c] - ground[c]);
    }

  ShapeImage made;
  const std::int64_t count =
      options_.max_objects == 1 ? 1 : 1 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(options_.max_objects)));
  for (std::int64_t i = 0; i < count; ++i) {
    ShapeObject object;
    object.label = options_.max_objects == 1 ? index % options_.classes
                                             : static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(options_.classes)));
    const std::optional<Place> place = free_place(made.objects, options_, rng);
    if (!place) continue;
    const double radius = place->radius, cx = place->x, cy = place->y;
    const double turn = rng.uniform(-0.3, 0.3), cosine = std::cos(turn) / radius, sine = std::sin(turn) / radius;
    const Colour colour = draw_colour(130, 245, rng);
    object.left = object.top = n;
    const auto first = [&](double v) { return std::max<std::int64_t>(0, static_cast<std::int64_t>(v - radius)); };
    const auto last = [&](double v) { return std::min(size - 1, static_cast<std::int64_t>(v + radius)); };
    for (std::int64_t y = first(cy); y <= last(cy); ++y)
      for (std::int64_t x = first(cx); x <= last(cx); ++x) {
        int hits = 0;
        for (int k = 0; k < kSamples * kSamples; ++k) {
          const int row = k / kSamples, column = k % kSamples;
          const double px = static_cast<double>(x) + (column + 0.5) / kSamples - cx;
          const double py = static_cast<double>(y) + (row + 0.5) / kSamples - cy;
          hits += inside(object.label, cosine * px + sine * py, cosine * py - sine * px) ? 1 : 0;
        }
        if (hits == 0) continue;
        const double cover = static_cast<double>(hits) / (kSamples * kSamples);
        for (std::size_t c = 0; c < 3; ++c) {
          double& v = canvas[static_cast<std::size_t>((y * size + x) * 3) + c];
          v += cover * (colour[c] - v);
        }
        object.left = std::min(object.left, static_cast<double>(x));
        object.top = std::min(object.top, static_cast<double>(y));
        object.right = std::max(object.right, static_cast<double>(x + 1));
        object.bottom = std::max(object.bottom, static_cast<double>(y + 1));
      }
    made.objects.push_back(object);
  }

  made.image = Image(size, size, 3);
  for (std::size_t i = 0; i < canvas.size(); ++i)
    made.image.pixels[i] = static_cast<std::uint8_t>(std::clamp(std::lround(canvas[i] + options_.noise * rng.normal()), 0l, 255l));
  return made;
}

std::vector<ShapeImage> ShapeImages::get(std::int64_t first, std::int64_t count) const {
  constexpr std::int64_t kWorthAThread = 64;
  std::vector<ShapeImage> images(static_cast<std::size_t>(count));
  const std::int64_t most = std::max<std::int64_t>(std::thread::hardware_concurrency(), 1),
                     shares = std::clamp<std::int64_t>(count / kWorthAThread, 1, most);
  const auto draw = [&](std::int64_t share) {
    for (std::int64_t i = count * share / shares; i < count * (share + 1) / shares; ++i)
      images[static_cast<std::size_t>(i)] = get(first + i);
  };
  std::vector<std::jthread> threads;
  for (std::int64_t share = 1; share < shares; ++share) threads.emplace_back(draw, share);
  draw(0);
  threads.clear();  // waits for them
  return images;
}

}  // namespace capstan::data
