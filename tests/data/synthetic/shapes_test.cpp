// Generated shapes: a function of (seed, index), boxes around what was drawn, classes told by form alone.

#include "data/synthetic/shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

TEST(Shapes, AreAFunctionOfSeedAndIndex) {
  const ShapeImages a({.seed = 3}), b({.seed = 3}), c({.seed = 4});
  EXPECT_EQ(a.get(7).image, b.get(7).image);
  EXPECT_NE(a.get(7).image, c.get(7).image);
  EXPECT_NE(a.get(7).image, a.get(13).image);
  EXPECT_EQ(a.get(7).objects[0].label, 1);
  EXPECT_THAT(ShapeImages({.classes = 3}).names(), ::testing::ElementsAre("disc", "square", "triangle"));
}

TEST(Shapes, AreTheSameDrawnTogether) {
  const ShapeImages shapes({.size = 16, .seed = 3});
  const std::vector<ShapeImage> together = shapes.get(5, 200);
  ASSERT_EQ(together.size(), 200u);
  for (std::size_t i = 0; i < together.size(); ++i) {
    const ShapeImage alone = shapes.get(5 + static_cast<std::int64_t>(i));
    ASSERT_EQ(together[i].image, alone.image) << i;
    ASSERT_EQ(together[i].objects[0].label, alone.objects[0].label) << i;
  }
  EXPECT_TRUE(shapes.get(3, 0).empty());
}

TEST(Shapes, BoxesHoldTheObjectTightly) {
  // Without noise and with a flat background, the pixels that differ from the background are the object.
  const ShapeImages shapes({.size = 48, .noise = 0, .seed = 5});
  for (std::int64_t i = 0; i < 60; ++i) {
    const ShapeImage made = shapes.get(i);
    ASSERT_EQ(made.objects.size(), 1u);
    const ShapeObject& o = made.objects[0];
    EXPECT_EQ(o.label, i % 6);
    EXPECT_GE(o.left, 0);
    EXPECT_GE(o.top, 0);
    EXPECT_LE(o.right, 48);
    EXPECT_LE(o.bottom, 48);
    EXPECT_GE(o.right - o.left, 48 * 0.5 * 0.6);
    EXPECT_LE(o.right - o.left, 48 * 0.8 + 2);
    // Colour jumps of an edge lie inside the box, never outside.
    const auto edge = [&](std::int64_t y, std::int64_t x) {
      double d = 0;
      for (std::int64_t c = 0; c < 3; ++c) d = std::max(d, std::abs(double{} + made.image.at(y, x, c) - made.image.at(y, x + 1, c)));
      return d > 35;
    };
    int inside = 0;
    for (std::int64_t y = 0; y < 48; ++y)
      for (std::int64_t x = 0; x + 1 < 48; ++x) {
        if (!edge(y, x)) continue;
        const auto fy = static_cast<double>(y), fx = static_cast<double>(x);
        const bool in_box = fy >= o.top && fy < o.bottom && fx >= o.left - 1 && fx < o.right;
        EXPECT_TRUE(in_box) << "image " << i << " at " << y << ", " << x;
        inside += in_box ? 1 : 0;
      }
    EXPECT_GT(inside, 8) << i;
  }
}

TEST(Shapes, ManyObjects) {
  const ShapeImages shapes({.size = 64, .max_objects = 4, .min_extent = 0.2, .max_extent = 0.4, .seed = 2});
  std::vector<int> counts(5);
  for (std::int64_t i = 0; i < 200; ++i) ++counts[shapes.get(i).objects.size()];
  EXPECT_EQ(counts[0], 0);
  for (int n = 1; n <= 4; ++n) EXPECT_GT(counts[static_cast<std::size_t>(n)], 20);
}

TEST(Shapes, CoverLittleOfEachOther) {
  const ShapeImages shapes({.size = 64, .max_objects = 6, .min_extent = 0.2, .max_extent = 0.6, .seed = 3});
  const auto area = [](const ShapeObject& o) { return (o.right - o.left) * (o.bottom - o.top); };
  for (std::int64_t i = 0; i < 100; ++i) {
    const std::vector<ShapeObject> objects = shapes.get(i).objects;
    for (const ShapeObject& a : objects)
      for (const ShapeObject& b : objects) {
        if (&a == &b) continue;
        const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
        const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
        if (width <= 0 || height <= 0) continue;
        EXPECT_LT(width * height, 0.25 * std::min(area(a), area(b))) << i;  // .1 of the boxes as drawn, which pixels round outwards
      }
  }
}

TEST(Shapes, RefusesOptionsOutOfRange) {
  EXPECT_THROW(ShapeImages({.size = 8}), ConfigError);
  EXPECT_THROW(ShapeImages({.classes = 7}), ConfigError);
  EXPECT_THROW(ShapeImages({.max_objects = 0}), ConfigError);
  EXPECT_THROW(ShapeImages({.min_extent = 0.9, .max_extent = 0.8}), ConfigError);
}

}  // namespace
}  // namespace capstan::data
