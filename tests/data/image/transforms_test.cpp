// Transforms: hand-computed cases, published numbers, and the distributions that are drawn from.

#include "data/image/transforms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;

/// Pixel (y, x) has the value 10 y + x in channel 0, and 100 and 200 more in the others.
Image numbered(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Image image(height, width, channels);
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c) image.at(y, x, c) = static_cast<std::uint8_t>(10 * y + x + 100 * c);
  return image;
}

TEST(Transforms, Flip) {
  Image grey = numbered(2, 3, 1), colour = numbered(1, 3, 3);
  flip_horizontal(grey);
  flip_horizontal(colour);
  EXPECT_THAT(grey.pixels, ElementsAre(2, 1, 0, 12, 11, 10));
  EXPECT_THAT(colour.pixels, ElementsAre(2, 102, 202, 1, 101, 201, 0, 100, 200));
}

TEST(Transforms, PadCropShowsEveryShiftOfTheImage) {
  const Image image = numbered(5, 4, 3);
  std::set<std::pair<int, int>> shifts;
  for (std::uint64_t key = 0; key < 300; ++key) {
    Rng rng(key);
    const Image moved = random_pad_crop(image, 2, 255, rng);
    int dy = -9, dx = -9;  // the shift that explains every pixel
    for (int sy = -2; sy <= 2; ++sy)
      for (int sx = -2; sx <= 2; ++sx) {
        bool all = true;
        for (int y = 0; y < 5; ++y)
          for (int x = 0; x < 4; ++x)
            for (int c = 0; c < 3; ++c) {
              const bool inside = y + sy >= 0 && y + sy < 5 && x + sx >= 0 && x + sx < 4;
              all &= moved.at(y, x, c) == (inside ? image.at(y + sy, x + sx, c) : 255);
            }
        if (all) dy = sy, dx = sx;
      }
    ASSERT_NE(dy, -9) << key;
    shifts.emplace(dy, dx);
  }
  EXPECT_EQ(shifts.size(), 25u);
  Rng rng(1);
  EXPECT_EQ(random_pad_crop(image, 0, 0, rng), image);
}

TEST(Transforms, CentreCrop) {
  const Image image = numbered(5, 8, 1);
  EXPECT_THAT(copy_of(centre_crop(image, 1, 2)).pixels, ElementsAre(23, 24));
  EXPECT_THAT(copy_of(centre_crop(image, 2, 1)).pixels, ElementsAre(24, 34));  // margins 1.5 and 3.5 round to even
  EXPECT_EQ(copy_of(centre_crop(image, 99, 99)), image);
}

TEST(Transforms, RandomAreaKeepsItsPromises) {
  const Image image = numbered(20, 25, 1);
  const ResizedCrop options{.min_area = 0.2, .max_area = 0.6};
  double least = 1, most = 0;
  for (std::uint64_t key = 0; key < 500; ++key) {
    Rng rng(key);
    const ImageView part = random_area(image, options, rng);
    const double area = static_cast<double>(part.height * part.width) / 500,
                 ratio = static_cast<double>(part.width) / static_cast<double>(part.height);
    EXPECT_GE(ratio, 0.75 * 0.85);
    EXPECT_LE(ratio, 1.34 * 1.15);
    least = std::min(least, area), most = std::max(most, area);
  }
  EXPECT_NEAR(least, 0.2, 0.04);
  EXPECT_NEAR(most, 0.6, 0.06);
  // A strip has no part of the ratio that is large enough: then the largest middle one.
  Rng rng(3);
  const Image strip(3, 90, 1);
  const ImageView part = random_area(strip, {.min_area = 0.9}, rng);
  EXPECT_EQ(part.height, 3);
  EXPECT_EQ(part.width, 4);
}

TEST(Transforms, Normalize) {
  Image image(1, 2, 3);
  image.pixels = {0, 51, 255, 102, 153, 204};
  std::vector<float> out(6);
  normalize(image, {.mean = {0.5, 0, 0.2}, .deviation = {0.5, 1, 0.4}}, out);
  const std::vector<float> expected{-1, -0.2f, 0.2f, 0.6f, 2, 1.5f};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(out[i], expected[i], 1e-6);
  EXPECT_THROW(normalize(image, {.mean = {0}, .deviation = {1}}, out), DataError);
  EXPECT_THROW((Normalization{.mean = {0}, .deviation = {1}}.check(3)), ConfigError);
  EXPECT_THROW((Normalization{.mean = {0}, .deviation = {0}}.check(1)), ConfigError);
}

TEST(Transforms, DenormalizedIsTheWayBack) {
  Image image(2, 128, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i / 3 + 85 * (i % 3));
  const Normalization n{.mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}};
  std::vector<float> planes(image.pixels.size());
  normalize(image, n, planes);
  EXPECT_EQ(denormalized(planes, 2, 128, n), image);
  planes = {-100, 100, 0.01f};
  const std::vector<std::uint8_t> cut{0, 255, 104};  // .406 + .225 * .01 of 255 is 104.1
  EXPECT_EQ(denormalized(planes, 1, 1, n).pixels, cut);
  EXPECT_THROW(denormalized(planes, 1, 2, n), DataError);
}

TEST(Transforms, ErasesARectangleAsOftenAsAsked) {
  constexpr std::int64_t side = 20;
  int erased = 0;
  double area = 0, sum = 0, squares = 0, count = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    Rng rng(key);
    std::vector<float> planes(2 * side * side, 7);
    random_erase(planes, 2, side, side, {.probability = 0.25}, rng);
    const auto changed = std::ranges::count_if(planes, [](float v) { return v != 7; });
    if (changed == 0) continue;
    ++erased;
    area += static_cast<double>(changed) / (2 * side * side);
    std::int64_t top = side, bottom = -1, left = side, right = -1;
    for (std::int64_t i = 0; i < 2 * side * side; ++i) {
      const float v = planes[static_cast<std::size_t>(i)];
      if (v == 7) continue;
      const std::int64_t y = i / side % side, x = i % side;
      top = std::min(top, y), bottom = std::max(bottom, y), left = std::min(left, x), right = std::max(right, x);
      sum += v, squares += v * v, count += 1;
    }
    EXPECT_EQ(changed, 2 * (bottom - top + 1) * (right - left + 1));
  }
  EXPECT_NEAR(erased, 250, 45);
  EXPECT_NEAR(area / erased, (0.02 + 1.0 / 3) / 2, 0.025);
  EXPECT_NEAR(sum / count, 0, 0.02);
  EXPECT_NEAR(squares / count, 1, 0.02);
}

TEST(Transforms, SmoothedTargets) {
  std::vector<float> targets(8);
  const std::vector<std::int64_t> labels{0, 3};
  smooth_targets(labels, 4, 0.1, targets);
  const std::vector<float> expected{0.925f, 0.025f, 0.025f, 0.025f, 0.025f, 0.025f, 0.025f, 0.925f};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(targets[i], expected[i], 1e-6);
}

TEST(Transforms, MixupOfThePublishedExample) {
  // Two examples of classes 0 and 3 of four, smoothing .1, share .7.
  std::vector<float> targets(8), images{0, 10, 100, 200};
  smooth_targets(std::vector<std::int64_t>{0, 3}, 4, 0.1, targets);
  mixup(images, targets, {2, 1, 1, 2}, 4, 0.7);
  const std::vector<float> expected{0.655f, 0.025f, 0.025f, 0.295f, 0.295f, 0.025f, 0.025f, 0.655f};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(targets[i], expected[i], 1e-6);
  const std::vector<float> mixed{30, 67, 70, 143};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(images[i], mixed[i], 1e-4);
  // The loss of logits 2 1 .1 -1 and 0 .5 -.5 1 is then 1.269576.
  const std::vector<std::vector<double>> logits{{2, 1, 0.1, -1}, {0, 0.5, -0.5, 1}};
  double loss = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    double z = 0;
    for (const double v : logits[i]) z += std::exp(v);
    for (std::size_t k = 0; k < 4; ++k) loss -= targets[4 * i + k] * (logits[i][k] - std::log(z)) / 2;
  }
  EXPECT_NEAR(loss, 1.269576, 1e-6);
}

TEST(Transforms, CutmixSwapsABoxAndCountsItsArea) {
  std::vector<float> images(3 * 2 * 4 * 5), targets{1, 0, 0, 1, 1, 0};  // three images: the middle one has no partner
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::size_t image = i / 40;
    images[i] = static_cast<float>(image);
  }
  const double share = cutmix(images, targets, {3, 2, 4, 5}, 2, {1, 2, 3, 5});
  EXPECT_DOUBLE_EQ(share, 1 - 6.0 / 20);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::size_t image = i / 40, y = i / 5 % 4, x = i % 5;
    const bool inside = y >= 1 && y < 3 && x >= 2;
    EXPECT_EQ(images[i], static_cast<float>(inside ? 2 - image : image)) << i;
  }
  const std::vector<float> expected{1, 0, 0, 1, 1, 0};  // partners of the same class
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(targets[i], expected[i], 1e-6);
}

TEST(Transforms, MixesBatchesByTheOptions) {
  const std::array<std::int64_t, 4> shape{2, 1, 8, 8};
  int cut = 0, blended = 0, untouched = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    Rng rng(key);
    std::vector<float> images(128, 0.0f), targets{1, 0, 0, 1};
    std::fill(images.begin() + 64, images.end(), 1.0f);
    const double share = mix_batch(images, targets, shape, 2, {.mixup = 0.8, .cutmix = 1, .probability = 0.8, .switching = 0.3}, rng);
    EXPECT_NEAR(targets[0], share, 1e-6);
    EXPECT_NEAR(targets[1], 1 - share, 1e-6);
    EXPECT_NEAR(std::accumulate(images.begin(), images.begin() + 64, 0.0) / 64, 1 - share, 1e-5) << "the target follows the pixels";
    const bool binary = std::ranges::all_of(images, [](float v) { return v == 0 || v == 1; });
    if (share == 1) {
      ++untouched;
    } else if (binary) {
      ++cut;
    } else {
      ++blended;
    }
  }
  EXPECT_NEAR(blended, 560, 50);
  EXPECT_NEAR(cut + untouched, 440, 50);  // a cut may be empty
  EXPECT_GT(untouched, 190);
  EXPECT_GT(cut, 150);
}

TEST(Transforms, MixesEachImageByItself) {
  constexpr std::int64_t kImages = 5;  // of which the one in the middle is its own partner
  int cut = 0, blended = 0, untouched = 0;
  std::set<double> shares;
  for (std::uint64_t key = 0; key < 400; ++key) {
    Rng rng(key);
    std::vector<float> images(kImages * 2 * 64), targets(kImages * kImages);
    for (std::int64_t i = 0; i < kImages; ++i) {
      std::fill_n(images.begin() + i * 128, 128, static_cast<float>(i));
      targets[static_cast<std::size_t>(i * kImages + i)] = 1;
    }
    const double mean = mix_batch(images, targets, {kImages, 2, 8, 8}, kImages,
                                  {.mixup = 0.8, .cutmix = 1, .probability = 0.8, .switching = 0.5, .mode = MixMode::image}, rng);
    EXPECT_GT(mean, 0);
    EXPECT_LE(mean, 1);
    for (std::int64_t i = 0; i < kImages; ++i) {
      const std::int64_t partner = kImages - 1 - i;
      const auto row = std::span(targets).subspan(static_cast<std::size_t>(i * kImages), kImages);
      const auto pixels = std::span(images).subspan(static_cast<std::size_t>(i * 128), 128);
      const double share = static_cast<double>(row[static_cast<std::size_t>(i)]), sum = std::accumulate(row.begin(), row.end(), 0.0);
      EXPECT_NEAR(sum, 1, 1e-6);
      if (i == partner) {
        EXPECT_EQ(share, 1);
        continue;
      }
      EXPECT_NEAR(static_cast<double>(row[static_cast<std::size_t>(partner)]), 1 - share, 1e-6);
      const double expected = share * static_cast<double>(i) + (1 - share) * static_cast<double>(partner);
      EXPECT_NEAR(std::accumulate(pixels.begin(), pixels.end(), 0.0) / 128, expected, 1e-4) << "the partner is what stood there before";
      const bool binary =
          std::ranges::all_of(pixels, [&](float v) { return v == static_cast<float>(i) || v == static_cast<float>(partner); });
      ++(share == 1 ? untouched : binary ? cut : blended);
      shares.insert(share);
    }
  }
  EXPECT_NEAR(blended, 640, 60);
  EXPECT_NEAR(cut + untouched, 960, 60);
  EXPECT_GT(untouched, 280);
  EXPECT_GT(cut, 400);
  EXPECT_GT(shares.size(), 600u) << "a share for each image that is blended; those of cuts are few, for areas are whole pixels";
}

TEST(Transforms, MixesDrawnBeforehandAreThoseOfTheBatch) {
  constexpr std::int64_t kImages = 5, kNumbers = 2 * 64;
  for (const MixMode mode : {MixMode::batch, MixMode::image})
    for (std::uint64_t key = 0; key < 40; ++key) {
      const Mixing mixing{.mixup = 0.8, .cutmix = 1, .probability = 0.9, .mode = mode};
      std::vector<float> images(kImages * kNumbers), targets(kImages);
      Rng pixels(key + 1000);
      for (float& v : images) v = static_cast<float>(pixels.uniform());
      std::vector<float> mixed = images;
      Rng rng(key), same(key);
      mix_batch(mixed, targets, {kImages, 2, 8, 8}, 1, mixing, rng);
      const auto mixes = draw_mixes(kImages, 8, 8, mixing, same);
      for (std::size_t i = 0; i < kImages; ++i) {
        const std::size_t partner = kImages - 1 - i;
        std::vector<float> one(images.begin() + static_cast<std::ptrdiff_t>(i * kNumbers),
                               images.begin() + static_cast<std::ptrdiff_t>((i + 1) * kNumbers));
        if (mixes[i] && partner != i) mix_image(one, std::span(images).subspan(partner * kNumbers, kNumbers), 2, 8, 8, *mixes[i]);
        ASSERT_TRUE(std::ranges::equal(one, std::span(mixed).subspan(i * kNumbers, kNumbers))) << key << " " << i;
      }
    }
  Rng rng(1), untouched(1);
  EXPECT_FALSE(draw_mixes(3, 8, 8, {}, rng)[0].has_value());
  EXPECT_EQ(rng(), untouched());
}

TEST(Transforms, BetaHasItsMoments) {
  for (const auto& [a, b] : {std::pair{0.2, 0.2}, {0.8, 0.8}, {1.0, 1.0}, {2.0, 5.0}}) {
    Rng rng(random_key(5, "beta"));
    double sum = 0, squares = 0;
    constexpr int n = 20000;
    for (int i = 0; i < n; ++i) {
      const double x = draw_beta(a, b, rng);
      ASSERT_GE(x, 0);
      ASSERT_LE(x, 1);
      sum += x, squares += x * x;
    }
    const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    EXPECT_NEAR(sum / n, mean, 0.012);
    EXPECT_NEAR(squares / n - (sum / n) * (sum / n), variance, 0.006);
  }
}

}  // namespace
}  // namespace capstan::data
