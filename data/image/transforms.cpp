#include "data/image/transforms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

/// Uniform over low .. high.
std::int64_t draw_between(std::int64_t low, std::int64_t high, Rng& rng) {
  return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
}

/// Ten tries for a box of a drawn share of the area and a drawn ratio of width to height; height 0 if none fits.
Rectangle draw_box(std::int64_t height, std::int64_t width, double min_area, double max_area, double min_ratio, double max_ratio,
                   bool whole, Rng& rng) {
  for (int tried = 0; tried < 10; ++tried) {
    const double area = rng.uniform(min_area, max_area) * static_cast<double>(height * width);
    const double ratio = std::exp(rng.uniform(std::log(min_ratio), std::log(max_ratio)));
    Rectangle b;
    b.width = std::llrint(std::sqrt(area * ratio));
    b.height = std::llrint(std::sqrt(area / ratio));
    const std::int64_t margin = whole ? 0 : 1;
    if (b.width < 1 || b.height < 1 || b.width > width - margin || b.height > height - margin) continue;
    b.top = draw_between(0, height - b.height, rng);
    b.left = draw_between(0, width - b.width, rng);
    return b;
  }
  return {};
}

/// Gamma(a, 1), a > 0.
double draw_gamma(double a, Rng& rng) {
  if (a < 1) return draw_gamma(a + 1, rng) * std::pow(1 - rng.uniform(), 1 / a);
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal(), v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

void check_batch(std::span<const float> images, std::span<const float> targets, const std::array<std::int64_t, 4>& shape,
                 std::int64_t classes) {
  const auto [b, c, h, w] = shape;
  require<InternalError>(
      static_cast<std::int64_t>(images.size()) == b * c * h * w && static_cast<std::int64_t>(targets.size()) == b * classes,
      "mixing: ", images.size(), " numbers of images and ", targets.size(), " of targets are not a batch of ", b);
}

/// a <- s a + (1 - s) b and b <- s b + (1 - s) a.
void blend(float* a, float* b, std::int64_t n, double share) {
  const auto s = static_cast<float>(share), r = static_cast<float>(1 - share);
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = a[i], y = b[i];
    a[i] = s * x + r * y;
    b[i] = s * y + r * x;
  }
}

void blend_targets(std::span<float> targets, std::int64_t batch, std::int64_t classes, double share) {
  for (std::int64_t i = 0; i < batch / 2; ++i)
    blend(targets.data() + i * classes, targets.data() + (batch - 1 - i) * classes, classes, share);
}

}  // namespace

void flip_horizontal(Image& image) {
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.row(y);
    if (image.channels == 1) {
      std::reverse(row, row + image.width);
    } else {
      for (std::int64_t l = 0, r = image.width - 1; l < r; ++l, --r)
        for (std::int64_t c = 0; c < image.channels; ++c) std::swap(row[l * image.channels + c], row[r * image.channels + c]);
    }
  }
}

Image random_pad_crop(const ImageView& image, std::int64_t padding, std::uint8_t fill, Rng& rng) {
  const std::int64_t dy = draw_between(-padding, padding, rng), dx = draw_between(-padding, padding, rng);
  Image out(image.height, image.width, image.channels);
  if (fill != 0) std::ranges::fill(out.pixels, fill);
  const std::int64_t x0 = std::max<std::int64_t>(0, -dx), x1 = std::min(image.width, image.width - dx);  // of the target
  for (std::int64_t y = std::max<std::int64_t>(0, -dy); y < std::min(image.height, image.height - dy) && x0 < x1; ++y)
    std::copy_n(image.row(y + dy) + (x0 + dx) * image.channels, (x1 - x0) * image.channels, out.row(y) + x0 * image.channels);
  return out;
}

Rectangle centre_of(std::int64_t rows, std::int64_t columns, std::int64_t height, std::int64_t width) {
  const std::int64_t h = std::min(height, rows), w = std::min(width, columns);
  return {std::llrint(static_cast<double>(rows - h) / 2), std::llrint(static_cast<double>(columns - w) / 2), h, w};
}

ImageView centre_crop(const ImageView& image, std::int64_t height, std::int64_t width) {
  const Rectangle r = centre_of(image.height, image.width, height, width);
  return image.part(r.top, r.left, r.height, r.width);
}

ImageView random_area(const ImageView& image, const ResizedCrop& o, Rng& rng) {
  const Rectangle b = draw_box(image.height, image.width, o.min_area, o.max_area, o.min_ratio, o.max_ratio, true, rng);
  if (b.height > 0) return image.part(b.top, b.left, b.height, b.width);
  const double ratio = static_cast<double>(image.width) / static_cast<double>(image.height);
  std::int64_t h = image.height, w = image.width;
  if (ratio < o.min_ratio) h = std::min<std::int64_t>(h, std::max<std::int64_t>(1, std::llrint(static_cast<double>(w) / o.min_ratio)));
  if (ratio > o.max_ratio) w = std::min<std::int64_t>(w, std::max<std::int64_t>(1, std::llrint(static_cast<double>(h) * o.max_ratio)));
  return image.part((image.height - h) / 2, (image.width - w) / 2, h, w);
}

void Normalization::check(std::int64_t channels) const {
  require<ConfigError>(static_cast<std::int64_t>(mean.size()) == channels && mean.size() == deviation.size(),
                       "normalisation: needs a mean and a deviation for each of ", channels, " channels, got ", mean.size(), " and ",
                       deviation.size());
  for (const double d : deviation) require<ConfigError>(d > 0, "normalisation: deviations must be above 0, got ", d);
}

Normalization normalization(const std::vector<double>& mean, const std::vector<double>& deviation, std::int64_t channels) {
  const auto for_each_channel = [&](const std::vector<double>& values) {
    require<ConfigError>(values.size() == 1 || static_cast<std::int64_t>(values.size()) == channels,
                         "data.mean and data.deviation need one number or one for each of ", channels, " channels, got ", mean.size(),
                         " and ", deviation.size());
    return values.size() == 1 ? std::vector<double>(static_cast<std::size_t>(channels), values[0]) : values;
  };
  return {.mean = for_each_channel(mean), .deviation = for_each_channel(deviation)};
}

void normalize(const ImageView& image, const Normalization& n, std::span<float> out) {
  const std::int64_t plane = image.height * image.width, channels = image.channels;
  require<DataError>(static_cast<std::int64_t>(out.size()) == channels * plane && static_cast<std::int64_t>(n.mean.size()) == channels,
                     "normalise: an image of ", image.height, " x ", image.width, " x ", channels, " does not fit ", out.size(),
                     " numbers and ", n.mean.size(), " means");
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const auto scale = static_cast<float>(1 / (255 * n.deviation[i])), shift = static_cast<float>(-n.mean[i] / n.deviation[i]);
    float* to = out.data() + c * plane;
    for (std::int64_t y = 0; y < image.height; ++y, to += image.width) {
      const std::uint8_t* from = image.row(y) + c;
      if (channels == 1) {
        for (std::int64_t x = 0; x < image.width; ++x) to[x] = static_cast<float>(from[x]) * scale + shift;
      } else {
        for (std::int64_t x = 0; x < image.width; ++x) to[x] = static_cast<float>(from[3 * x]) * scale + shift;
      }
    }
  }
}

Image denormalized(std::span<const float> planes, std::int64_t height, std::int64_t width, const Normalization& n) {
  Image image(height, width, static_cast<std::int64_t>(n.mean.size()));
  require<DataError>(planes.size() == image.pixels.size(), "denormalise: ", planes.size(), " numbers are not an image of ", height, " x ",
                     width, " x ", image.channels);
  const std::size_t channels = n.mean.size(), plane = planes.size() / channels;
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < plane; ++i) {
      const double v = 255 * (static_cast<double>(planes[c * plane + i]) * n.deviation[c] + n.mean[c]);
      image.pixels[channels * i + c] = static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0, 255.0)));
    }
  return image;
}

void random_erase(std::span<float> planes, std::int64_t channels, std::int64_t height, std::int64_t width, const RandomErasing& o,
                  Rng& rng) {
  require<InternalError>(static_cast<std::int64_t>(planes.size()) == channels * height * width, "random erasing: ", planes.size(),
                         " numbers are not an image of ", channels, " x ", height, " x ", width);
  if (o.probability <= 0 || rng.uniform() >= o.probability) return;
  const Rectangle b = draw_box(height, width, o.min_area, o.max_area, o.min_ratio, o.max_ratio, false, rng);
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = b.top; y < b.top + b.height; ++y)
      for (std::int64_t x = b.left; x < b.left + b.width; ++x)
        planes[static_cast<std::size_t>((c * height + y) * width + x)] = static_cast<float>(rng.normal());
}

void smooth_targets(std::span<const std::int64_t> labels, std::int64_t classes, double smoothing, std::span<float> out) {
  require<InternalError>(out.size() == labels.size() * static_cast<std::size_t>(classes), "targets: ", out.size(), " numbers for ",
                         labels.size(), " labels of ", classes, " classes");
  const double off = smoothing / static_cast<double>(classes);
  std::ranges::fill(out, static_cast<float>(off));
  for (std::size_t i = 0; i < labels.size(); ++i)
    out[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(labels[i])] = static_cast<float>(1 - smoothing + off);
}

void mixup(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
           double share) {
  check_batch(images, targets, shape, classes);
  const std::int64_t batch = shape[0], n = shape[1] * shape[2] * shape[3];
  for (std::int64_t i = 0; i < batch / 2; ++i) blend(images.data() + i * n, images.data() + (batch - 1 - i) * n, n, share);
  blend_targets(targets, batch, classes, share);
}

double cutmix(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
              const std::array<std::int64_t, 4>& box) {
  check_batch(images, targets, shape, classes);
  const auto [batch, channels, height, width] = shape;
  const auto [top, left, bottom, right] = box;
  for (std::int64_t i = 0; i < batch / 2; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t y = top; y < bottom; ++y) {
        float* a = images.data() + ((i * channels + c) * height + y) * width;
        float* b = images.data() + (((batch - 1 - i) * channels + c) * height + y) * width;
        std::swap_ranges(a + left, a + right, b + left);
      }
  const double share = 1 - static_cast<double>((bottom - top) * (right - left)) / static_cast<double>(height * width);
  blend_targets(targets, batch, classes, share);
  return share;
}

double draw_beta(double a, double b, Rng& rng) {
  const double x = draw_gamma(a, rng), y = draw_gamma(b, rng);
  return x + y > 0 ? x / (x + y) : 0.5;
}

namespace {

std::optional<Mix> draw_mix(const Mixing& o, std::int64_t height, std::int64_t width, Rng& rng) {
  if (rng.uniform() >= o.probability) return std::nullopt;
  Mix mix;
  mix.cut = o.cutmix > 0 && (o.mixup <= 0 || rng.uniform() < o.switching);
  const double alpha = mix.cut ? o.cutmix : o.mixup;
  mix.share = draw_beta(alpha, alpha, rng);
  if (!mix.cut) return mix;
  // Half sides of a box of area 1 - share around a point of the image, cut at the border.
  const double side = std::sqrt(1 - mix.share);
  const auto half_h = static_cast<std::int64_t>(static_cast<double>(height) * side) / 2;
  const auto half_w = static_cast<std::int64_t>(static_cast<double>(width) * side) / 2;
  const std::int64_t y = draw_between(0, height - 1, rng), x = draw_between(0, width - 1, rng);
  mix.box = {std::max<std::int64_t>(0, y - half_h), std::max<std::int64_t>(0, x - half_w), std::min(height, y + half_h),
             std::min(width, x + half_w)};
  mix.share = 1 - static_cast<double>((mix.box[2] - mix.box[0]) * (mix.box[3] - mix.box[1])) / static_cast<double>(height * width);
  return mix;
}

/// Each number becomes share * itself + (1 - share) * its partner.
void blend_into(std::span<float> to, std::span<const float> partner, double share) {
  const auto s = static_cast<float>(share), r = static_cast<float>(1 - share);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = s * to[i] + r * partner[i];
}

}  // namespace

std::vector<std::optional<Mix>> draw_mixes(std::int64_t batch, std::int64_t height, std::int64_t width, const Mixing& o, Rng& rng) {
  std::vector<std::optional<Mix>> mixes(static_cast<std::size_t>(batch));
  if (!o.enabled()) return mixes;
  if (o.mode == MixMode::batch) {
    std::ranges::fill(mixes, draw_mix(o, height, width, rng));
  } else {
    for (std::optional<Mix>& mix : mixes) mix = draw_mix(o, height, width, rng);
  }
  return mixes;
}

void mix_image(std::span<float> image, std::span<const float> partner, std::int64_t channels, std::int64_t height, std::int64_t width,
               const Mix& mix) {
  if (!mix.cut) return blend_into(image, partner, mix.share);
  const auto [top, left, bottom, right] = mix.box;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = top; y < bottom; ++y)
      std::copy_n(partner.data() + (c * height + y) * width + left, right - left, image.data() + (c * height + y) * width + left);
}

void mix_target(std::span<float> target, std::span<const float> partner, const Mix& mix) { blend_into(target, partner, mix.share); }

namespace {

double mix_images(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
                  const Mixing& o, Rng& rng) {
  check_batch(images, targets, shape, classes);
  const auto [batch, channels, height, width] = shape;
  const auto n = static_cast<std::size_t>(channels * height * width), k = static_cast<std::size_t>(classes);
  const std::vector<std::optional<Mix>> mixes = draw_mixes(batch, height, width, o, rng);
  double shares = 0;
  for (const std::optional<Mix>& mix : mixes) shares += mix ? mix->share : 1;
  for (std::size_t i = 0; i < mixes.size() / 2; ++i) {
    const std::array<std::size_t, 2> pair{i, mixes.size() - 1 - i};
    std::array<std::vector<float>, 2> image, target;  // as they were
    for (std::size_t p = 0; p < 2; ++p) {
      const auto from = images.subspan(pair[p] * n, n), row = targets.subspan(pair[p] * k, k);
      image[p].assign(from.begin(), from.end());
      target[p].assign(row.begin(), row.end());
    }
    for (std::size_t p = 0; p < 2; ++p) {
      const std::optional<Mix>& mix = mixes[pair[p]];
      if (!mix) continue;
      mix_image(images.subspan(pair[p] * n, n), image[1 - p], channels, height, width, *mix);
      mix_target(targets.subspan(pair[p] * k, k), target[1 - p], *mix);
    }
  }
  return batch > 0 ? shares / static_cast<double>(batch) : 1;
}

}  // namespace

double mix_batch(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
                 const Mixing& o, Rng& rng) {
  if (!o.enabled()) return 1;
  if (o.mode == MixMode::image) return mix_images(images, targets, shape, classes, o, rng);
  const std::optional<Mix> mix = draw_mix(o, shape[2], shape[3], rng);
  if (!mix) return 1;
  if (mix->cut) return cutmix(images, targets, shape, classes, mix->box);
  mixup(images, targets, shape, classes, mix->share);
  return mix->share;
}

}  // namespace capstan::data
