#include "data/image/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

constexpr int kBits = 22;
constexpr std::int32_t kHalf = 1 << (kBits - 1);

double support_of(Filter filter) { return filter == Filter::box ? 0.5 : filter == Filter::bilinear ? 1.0 : 2.0; }

double weight_of(Filter filter, double x) {
  const double a = std::abs(x);
  switch (filter) {
    case Filter::box: return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::bilinear: return a < 1 ? 1 - a : 0;
    case Filter::bicubic:
      if (a < 1) return (1.5 * a - 2.5) * a * a + 1;
      return a < 2 ? ((-0.5 * a + 2.5) * a - 4) * a + 2 : 0;
  }
  return 0;
}

/// For each of some target pixels the first source pixel and `taps` weights, those beyond the last one 0.
struct Weights {
  std::vector<std::int64_t> first, count;
  std::vector<std::int32_t> values;  // [target pixels, taps]
  std::int64_t taps = 0;
  const std::int32_t* of(std::int64_t i) const { return values.data() + i * taps; }
};

/// Of `count` target pixels from `begin` on, when `in` pixels become `out`.
Weights weights_of(std::int64_t in, std::int64_t out, std::int64_t begin, std::int64_t count, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0);
  const double support = support_of(filter) * stretch;
  Weights w;
  w.taps = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  w.values.assign(static_cast<std::size_t>(count * w.taps), 0);
  std::vector<double> k(static_cast<std::size_t>(w.taps));
  for (std::int64_t i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    const std::int64_t first = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const std::int64_t last = std::min(in, static_cast<std::int64_t>(centre + support + 0.5));
    double sum = 0;
    for (std::int64_t j = first; j < last; ++j) {
      const double v = weight_of(filter, (static_cast<double>(j) - centre + 0.5) / stretch);
      k[static_cast<std::size_t>(j - first)] = v;
      sum += v;
    }
    std::int32_t* to = w.values.data() + i * w.taps;
    for (std::int64_t j = 0; j < last - first; ++j)
      to[j] = static_cast<std::int32_t>(std::lround(k[static_cast<std::size_t>(j)] / (sum != 0 ? sum : 1) * (1 << kBits)));
    w.first.push_back(first);
    w.count.push_back(last - first);
  }
  return w;
}

std::uint8_t to_byte(std::int32_t v) { return static_cast<std::uint8_t>(std::clamp(v >> kBits, 0, 255)); }

/// Rows [y0, y1) of the source, as wide as the target.
template <int C>
void resize_rows(const ImageView& from, std::int64_t y0, std::int64_t y1, const Weights& w, std::uint8_t* to) {
  const auto width = static_cast<std::int64_t>(w.first.size());
  for (std::int64_t y = y0; y < y1; ++y) {
    const std::uint8_t* row = from.row(y);
    for (std::int64_t x = 0; x < width; ++x, to += C) {
      const std::uint8_t* p = row + w.first[static_cast<std::size_t>(x)] * C;
      const std::int32_t* k = w.of(x);
      std::int32_t sum[C];
      for (int c = 0; c < C; ++c) sum[c] = kHalf;
      for (std::int64_t j = 0; j < w.count[static_cast<std::size_t>(x)]; ++j)
        for (int c = 0; c < C; ++c) sum[c] += k[j] * p[j * C + c];
      for (int c = 0; c < C; ++c) to[c] = to_byte(sum[c]);
    }
  }
}

}  // namespace

Image resize_part(const ImageView& image, std::int64_t height, std::int64_t width, const Rectangle& part, Filter filter) {
  require<DataError>(part.top >= 0 && part.left >= 0 && part.height > 0 && part.width > 0 && part.top + part.height <= height &&
                         part.left + part.width <= width,
                     "resize: a part of ", part.height, " x ", part.width, " at (", part.top, ", ", part.left, ") is not inside ", height,
                     " x ", width);
  // Where one side stays as it is, its weights are a single 1 and the pass over it changes nothing; it is left out.
  const bool same_height = height == image.height, same_width = width == image.width;
  const Weights across = weights_of(image.width, width, part.left, part.width, filter);
  const Weights down = weights_of(image.height, height, part.top, part.height, filter);
  const std::int64_t y0 = same_height ? part.top : down.first.front();  // rows that the second pass reads: y0 .. y1 - 1
  const std::int64_t y1 = same_height ? part.top + part.height : down.first.back() + down.count.back();

  ImageView rows;
  std::vector<std::uint8_t> between;
  if (same_width) {
    rows = image.part(y0, part.left, y1 - y0, part.width);
  } else {
    between.resize(static_cast<std::size_t>((y1 - y0) * part.width * image.channels));
    if (image.channels == 1) resize_rows<1>(image, y0, y1, across, between.data());
    if (image.channels == 3) resize_rows<3>(image, y0, y1, across, between.data());
    rows.pixels = between.data();
    rows.height = y1 - y0;
    rows.width = part.width;
    rows.channels = image.channels;
    rows.stride = part.width * image.channels;
  }
  if (same_height) return copy_of(rows);

  Image out(part.height, part.width, image.channels);
  const std::int64_t n = out.stride();
  std::vector<std::int32_t> sums(static_cast<std::size_t>(n));
  for (std::int64_t y = 0; y < part.height; ++y) {
    std::ranges::fill(sums, kHalf);
    const std::int32_t* k = down.of(y);
    for (std::int64_t j = 0; j < down.count[static_cast<std::size_t>(y)]; ++j) {
      const std::uint8_t* p = rows.row(down.first[static_cast<std::size_t>(y)] + j - y0);
      for (std::int64_t i = 0; i < n; ++i) sums[static_cast<std::size_t>(i)] += k[j] * p[i];
    }
    std::ranges::transform(sums, out.row(y), to_byte);
  }
  return out;
}

Image resize(const ImageView& image, std::int64_t height, std::int64_t width, Filter filter) {
  require<DataError>(height > 0 && width > 0 && height <= (1 << 20) && width <= (1 << 20), "resize: sizes must be between 1 and 2^20, got ",
                     height, " x ", width);
  return resize_part(image, height, width, {0, 0, height, width}, filter);
}

std::pair<std::int64_t, std::int64_t> shorter_side_size(const ImageView& image, std::int64_t side) {
  if (image.height <= image.width) return {side, std::max(side, side * image.width / image.height)};
  return {std::max(side, side * image.height / image.width), side};
}

Image resize_shorter_side(const ImageView& image, std::int64_t side, Filter filter) {
  const auto [height, width] = shorter_side_size(image, side);
  return resize(image, height, width, filter);
}

}  // namespace capstan::data
