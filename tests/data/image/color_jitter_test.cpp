// Colour jitter: bytes against the Python Imaging Library, amounts and order as drawn.

#include "data/image/color_jitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "data/image/rand_augment.h"
#include "tests/data/image/golden.h"

namespace capstan::data {
namespace {

// tests/goldens/color_jitter.h5 (see make_color_jitter.py).
Image golden(const std::string& name) {
  static const Hdf5Reader file(CAPSTAN_SOURCE_DIR "/tests/goldens/color_jitter.h5", {.require_seal = false});
  const Tensor t = file.read("/" + name);
  Image image(t.size(0), t.size(1), t.size(2));
  std::ranges::copy(t.span<const std::uint8_t>(), image.pixels.begin());
  return image;
}

TEST(ColorJitter, HuesEqualThePythonImagingLibrary) {
  for (const std::string turns : {"0", "0.5", "-0.5", "0.1", "-0.1", "0.333", "-0.25"}) {
    Image image = golden("source");
    shift_hue(image, std::stod(turns));
    EXPECT_EQ(image, golden("hue/" + turns)) << turns;
  }
  Image image = golden("source");
  apply_op(image, AugmentOp::brightness, 0.73);
  shift_hue(image, 0.1);
  apply_op(image, AugmentOp::color, 1.4);
  apply_op(image, AugmentOp::contrast, 0.8);
  EXPECT_EQ(image, golden("chain"));
}

TEST(ColorJitter, DrawsFactorsEvenlyAroundOne) {
  const auto brightened = [](double amount) {
    std::vector<int> seen;
    for (std::uint64_t key = 0; key < 2000; ++key) {
      Image image(1, 1, 1);
      image.pixels[0] = 100;
      Rng rng(key);
      color_jitter(image, {.brightness = amount}, rng);
      seen.push_back(image.pixels[0]);
    }
    std::ranges::sort(seen);
    return seen;
  };
  const std::vector<int> some = brightened(0.4);
  EXPECT_GE(some.front(), 60);
  EXPECT_LE(some.front(), 61);
  EXPECT_NEAR(some[1000], 100, 3);
  EXPECT_GE(some.back(), 138);
  EXPECT_LE(some.back(), 140);
  const std::vector<int> much = brightened(1.5);
  EXPECT_LE(much.front(), 1) << "no factor is below 0";
  EXPECT_NEAR(much[1000], 125, 8);
}

TEST(ColorJitter, ShiftsHuesBothWaysUpToTheAmount) {
  std::set<std::vector<std::uint8_t>> seen, allowed;
  for (int step = -12; step <= 12; ++step) {
    Image red(1, 1, 3);
    red.pixels = {200, 10, 10};
    shift_hue(red, step / 255.0 + (step < 0 ? -1e-9 : 1e-9));
    allowed.insert(red.pixels);
  }
  for (std::uint64_t key = 0; key < 500; ++key) {
    Image red(1, 1, 3);
    red.pixels = {200, 10, 10};
    Rng rng(key);
    color_jitter(red, {.hue = 0.05}, rng);  // 12.75 steps
    seen.insert(red.pixels);
  }
  EXPECT_EQ(seen, allowed);
}

TEST(ColorJitter, ChangesInAnyOrder) {
  // Of a dark pixel beside a light one: contrast before brightness differs from contrast after it where a byte is full.
  const ColorJitter options{.brightness = 0.9, .contrast = 0.9};
  std::set<bool> brightness_first;
  for (std::uint64_t key = 0; key < 200; ++key) {
    Image image(1, 2, 1);
    image.pixels = {20, 240};
    Rng rng(key);
    color_jitter(image, options, rng);
    Rng same(key);
    std::vector<int> parts{0, 1, 2, 3};  // brightness, contrast, saturation, hue
    same.shuffle(std::span<int>(parts));
    Image expected(1, 2, 1);
    expected.pixels = {20, 240};
    for (const int part : parts)
      if (part < 2) apply_op(expected, part == 0 ? AugmentOp::brightness : AugmentOp::contrast, same.uniform(1 - 0.9, 1 + 0.9));
    ASSERT_EQ(image, expected) << key;
    brightness_first.insert(std::ranges::find(parts, 0) < std::ranges::find(parts, 1));
  }
  EXPECT_EQ(brightness_first.size(), 2u);
}

TEST(ColorJitter, DrawsNothingWhenOff) {
  Rng rng(5), untouched(5);
  Image image = golden("source");
  color_jitter(image, {}, rng);
  EXPECT_EQ(image, golden("source"));
  EXPECT_EQ(rng(), untouched());
  Image grey(2, 2, 1);
  grey.pixels = {0, 90, 180, 255};
  const Image before = grey;
  color_jitter(grey, {.saturation = 0.8, .hue = 0.5}, rng);
  EXPECT_EQ(grey, before) << "grey has no saturation and no hue";
}

}  // namespace
}  // namespace capstan::data
