#pragma once
// Transforms: what images go through on their way into a batch, apart from resizing (resize.h) and RandAugment (rand_augment.h).
//
// Whatever is random takes an Rng, whose key the caller makes of (seed, purpose, epoch, index): a transformed image is then a function of
// its place, on every thread. Floats are planes: [channels, height, width] of an image, [B, C, H, W] of a batch.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "autograd/core/rng.h"
#include "data/image/image.h"

namespace capstan::data {

// ---- cropping and flipping bytes ----

void flip_horizontal(Image& image);

/// A crop of the image's own size from the image with `padding` pixels of `fill` on each side, at a uniformly drawn place.
Image random_pad_crop(const ImageView& image, std::int64_t padding, std::uint8_t fill, Rng& rng);

/// The middle part of an image of rows x columns, with margins rounded as PyTorch's CenterCrop does (half to even); sides that are too
/// short are taken whole.
Rectangle centre_of(std::int64_t rows, std::int64_t columns, std::int64_t height, std::int64_t width);
ImageView centre_crop(const ImageView& image, std::int64_t height, std::int64_t width);

struct ResizedCrop {
  double min_area = 0.08, max_area = 1;             ///< share of the image's area
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;  ///< width / height, drawn evenly on a logarithmic scale
};
/// The part that random resized crop scales (Szegedy et al. 2015): ten tries, then the largest middle part of an allowed ratio.
ImageView random_area(const ImageView& image, const ResizedCrop& options, Rng& rng);

// ---- bytes to floats ----

/// (v / 255 - mean) / deviation, a channel each.
struct Normalization {
  std::vector<double> mean, deviation;
  /// Throws ConfigError unless both have `channels` entries and deviations are above 0.
  void check(std::int64_t channels) const;
};
/// From lists that hold one number for all channels or one for each. Throws ConfigError where they hold another count.
Normalization normalization(const std::vector<double>& mean, const std::vector<double>& deviation, std::int64_t channels);
/// Writes the image's planes to out [channels * height * width]. Throws DataError unless sizes fit.
void normalize(const ImageView& image, const Normalization& normalization, std::span<float> out);
/// The other way: planes [channels, height, width] as bytes, rounded and cut to 0 .. 255. Throws DataError unless sizes fit.
Image denormalized(std::span<const float> planes, std::int64_t height, std::int64_t width, const Normalization& normalization);

struct RandomErasing {
  double probability = 0;  ///< 0: never
  double min_area = 0.02, max_area = 1.0 / 3;
  double min_ratio = 0.3, max_ratio = 1 / 0.3;
};
/// Replaces a rectangle of a normalised image by standard normal numbers, with the given probability (Zhong et al. 2017); ten tries to
/// find one that fits.
void random_erase(std::span<float> planes, std::int64_t channels, std::int64_t height, std::int64_t width, const RandomErasing& options,
                  Rng& rng);

// ---- batches: targets and mixing ----

/// Rows [labels, classes]: 1 - s + s / classes at the label, s / classes elsewhere.
void smooth_targets(std::span<const std::int64_t> labels, std::int64_t classes, double smoothing, std::span<float> out);

/// Who draws: whether there is mixing, of which kind, with which share and box.
enum class MixMode {
  batch,  ///< a batch, once for all its images
  image,  ///< each of its images
};

struct Mixing {
  double mixup = 0;        ///< alpha of mixup (Zhang et al. 2017), 0: none
  double cutmix = 0;       ///< alpha of cutmix (Yun et al. 2019), 0: none
  double probability = 1;  ///< that there is mixing at all
  double switching = 0.5;  ///< share of cutmix where both are on
  MixMode mode = MixMode::batch;
  bool enabled() const { return probability > 0 && (mixup > 0 || cutmix > 0); }
};
/// Mixes each image of a batch, and its target, with what stood at the same place from the end. Images [B, C, H, W], targets [B, classes].
/// Returns the share that stays (cutmix: by the real area), 1 if the batch was left alone; where images draw, the mean of their shares.
double mix_batch(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
                 const Mixing& options, Rng& rng);

/// How an image is mixed with its partner.
struct Mix {
  double share = 1;                   ///< that stays
  bool cut = false;                   ///< cutmix, else mixup
  std::array<std::int64_t, 4> box{};  ///< of cutmix: top, left, bottom, right
};
/// What mix_batch draws for each of a batch's images of this size; nothing: it is left alone.
std::vector<std::optional<Mix>> draw_mixes(std::int64_t batch, std::int64_t height, std::int64_t width, const Mixing& options, Rng& rng);
/// Mixes an image [channels, height, width] with what its partner was.
void mix_image(std::span<float> image, std::span<const float> partner, std::int64_t channels, std::int64_t height, std::int64_t width,
               const Mix& mix);
/// The same of their targets [classes].
void mix_target(std::span<float> target, std::span<const float> partner, const Mix& mix);

/// The two kinds of mixing with the share given, for tests and other policies. `box` is top, left, bottom, right.
void mixup(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes, double share);
double cutmix(std::span<float> images, std::span<float> targets, const std::array<std::int64_t, 4>& shape, std::int64_t classes,
              const std::array<std::int64_t, 4>& box);

/// Beta(a, b), by two gamma draws (Marsaglia and Tsang 2000).
double draw_beta(double a, double b, Rng& rng);

}  // namespace capstan::data
