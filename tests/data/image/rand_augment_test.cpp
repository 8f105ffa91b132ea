// RandAugment: each operation against the Python Imaging Library, levels against the published mapping, draws.

#include "data/image/rand_augment.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/data/image/golden.h"

namespace capstan::data {
namespace {

const std::map<std::string, AugmentOp>& named_ops() {
  using enum AugmentOp;
  static const std::map<std::string, AugmentOp> all{{"auto_contrast", auto_contrast},
                                                    {"equalize", equalize},
                                                    {"invert", invert},
                                                    {"rotate", rotate},
                                                    {"posterize", posterize},
                                                    {"solarize", solarize},
                                                    {"solarize_add", solarize_add},
                                                    {"color", color},
                                                    {"contrast", contrast},
                                                    {"brightness", brightness},
                                                    {"sharpness", sharpness},
                                                    {"shear_x", shear_x},
                                                    {"shear_y", shear_y},
                                                    {"translate_x", translate_x},
                                                    {"translate_y", translate_y}};
  return all;
}

TEST(RandAugment, OperationsEqualThePythonImagingLibrary) {
  std::map<AugmentOp, int> met;
  for (const std::string& name : golden_names("operation")) {
    const std::size_t last = name.rfind('_'), before = name.rfind('_', last - 1);
    const AugmentOp op = named_ops().at(name.substr(0, before));
    Image image = golden_image("source_" + name.substr(last + 1));
    apply_op(image, op, std::stod(name.substr(before + 1, last - before - 1)), {200, 30, 90});
    // A position computed in another order of sums may fall on the other side of a rounding.
    EXPECT_LE(difference(image, golden_image("operation/" + name)), op == AugmentOp::rotate || op >= AugmentOp::shear_x ? 1 : 0) << name;
    ++met[op];
  }
  EXPECT_EQ(met.size(), 15u);
}

TEST(RandAugment, LevelsFollowTheIncreasingMapping) {
  using enum AugmentOp;
  EXPECT_DOUBLE_EQ(value_of_level(rotate, 9, true), -27);
  EXPECT_DOUBLE_EQ(value_of_level(shear_x, 10, false), 0.3);
  EXPECT_DOUBLE_EQ(value_of_level(translate_y, 5, true), -0.225);
  EXPECT_DOUBLE_EQ(value_of_level(posterize, 9, false), 1);  // 4 - int(3.6)
  EXPECT_DOUBLE_EQ(value_of_level(solarize, 9, false), 26);  // 256 - int(230.4)
  EXPECT_DOUBLE_EQ(value_of_level(solarize_add, 9, false), 99);
  EXPECT_DOUBLE_EQ(value_of_level(color, 9, false), 1.81);
  EXPECT_DOUBLE_EQ(value_of_level(sharpness, 10, true), 0.1);
  EXPECT_EQ(ops_of(AugmentOps::paper).size(), 14u);
  EXPECT_EQ(ops_of(AugmentOps::timm).size(), 15u);
  EXPECT_EQ(ops_of(AugmentOps::paper).front(), identity);
  for (const AugmentOp op : ops_of(AugmentOps::timm)) EXPECT_NE(op, identity);
}

TEST(RandAugment, IsAFunctionOfTheKey) {
  const Image source = golden_image("source_3");
  const RandAugment options{.layers = 2, .magnitude = 9};
  std::set<std::string> results;  // pixels as text
  for (std::uint64_t key = 0; key < 200; ++key) {
    Image a = source, b = source;
    Rng first(key), second(key);
    rand_augment(a, options, first);
    rand_augment(b, options, second);
    ASSERT_EQ(a, b);
    results.emplace(a.pixels.begin(), a.pixels.end());
  }
  EXPECT_GT(results.size(), 100u);
  Image same = source;
  Rng rng(1);
  rand_augment(same, {.layers = 0}, rng);
  EXPECT_EQ(same, source);
  rand_augment(same, {.layers = 5, .probability = 0}, rng);
  EXPECT_EQ(same, source);
  Image grey = golden_image("source_1");
  for (int i = 0; i < 100; ++i) rand_augment(grey, timm_rand_augment(), rng);
  EXPECT_EQ(grey.channels, 1);
}

}  // namespace
}  // namespace capstan::data
