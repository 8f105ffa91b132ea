// Resizing: the Python Imaging Library's pixels to the bit, and cases that can be done by hand.

#include "data/image/resize.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "tests/data/image/golden.h"

namespace capstan::data {
namespace {

TEST(Resize, EqualsThePythonImagingLibrary) {
  const auto names = golden_names("resize");
  ASSERT_EQ(names.size(), 36u);
  for (const std::string& name : names) {
    char filter[16];
    int height = 0, width = 0, channels = 0;
    ASSERT_EQ(std::sscanf(name.c_str(), "%15[a-z]_%dx%d_%d", filter, &height, &width, &channels), 4) << name;
    const Filter kind = std::string(filter) == "box" ? Filter::box : std::string(filter) == "bilinear" ? Filter::bilinear : Filter::bicubic;
    const Image source = golden_image("source_" + std::to_string(channels));
    EXPECT_EQ(difference(resize(source, height, width, kind), golden_image("resize/" + name)), 0) << name;
  }
}

TEST(Resize, ByHand) {
  Image x(1, 4, 1);
  x.pixels = {0, 100, 200, 40};
  // Box: means of pairs. Bilinear to half: weights 3 3 1 / 7 at the left border, 1 3 3 / 7 at the right.
  EXPECT_EQ(resize(x, 1, 2, Filter::box).pixels, (std::vector<std::uint8_t>{50, 120}));
  EXPECT_EQ(resize(x, 1, 2, Filter::bilinear).pixels, (std::vector<std::uint8_t>{71, 117}));
  // To double: 1/4 and 3/4 between neighbours.
  EXPECT_EQ(resize(x, 1, 8, Filter::bilinear).pixels, (std::vector<std::uint8_t>{0, 25, 75, 125, 175, 160, 80, 40}));
  Image flat(7, 5, 3);
  for (auto& v : flat.pixels) v = 199;
  for (const Filter f : {Filter::box, Filter::bilinear, Filter::bicubic})
    for (const std::uint8_t v : resize(flat, 13, 2, f).pixels) ASSERT_EQ(v, 199);
}

TEST(Resize, OfAPartSeesThePartOnly) {
  const Image source = golden_image("source_3");
  const ImageView part = ImageView(source).part(3, 2, 11, 9);
  EXPECT_EQ(resize(part, 20, 20, Filter::bicubic), resize(copy_of(part), 20, 20, Filter::bicubic));
  EXPECT_EQ(resize(part, 11, 9), copy_of(part));
}

TEST(Resize, APartHasThePixelsOfTheWhole) {
  for (const char* name : {"source_1", "source_3"}) {
    const Image source = golden_image(name);
    const std::int64_t h = source.height, w = source.width;
    for (const auto& [height, width] :
         {std::pair{std::int64_t{40}, std::int64_t{31}}, {9, 50}, {5, 7}, {h, 6}, {h, 30}, {4, w}, {33, w}, {h, w}})
      for (const Filter f : {Filter::box, Filter::bilinear, Filter::bicubic}) {
        const Image whole = resize(source, height, width, f);
        for (const Rectangle& r : {Rectangle{0, 0, height, width}, Rectangle{1, 2, height - 2, width - 3}, Rectangle{height / 2, 0, 1, 1},
                                   Rectangle{height - 1, width - 2, 1, 2}})
          ASSERT_EQ(resize_part(source, height, width, r, f), copy_of(ImageView(whole).part(r.top, r.left, r.height, r.width)))
              << name << " to " << height << " x " << width << " at " << r.top;
      }
  }
  EXPECT_THROW(resize_part(golden_image("source_1"), 9, 9, {5, 0, 5, 1}), DataError);
}

TEST(Resize, ShorterSide) {
  const Image wide(30, 47, 3), tall(47, 30, 1);
  EXPECT_EQ(resize_shorter_side(wide, 20).width, 31);  // 31.33
  EXPECT_EQ(resize_shorter_side(wide, 20).height, 20);
  EXPECT_EQ(resize_shorter_side(tall, 20).height, 31);
  EXPECT_EQ(resize_shorter_side(tall, 20).width, 20);
  EXPECT_THROW(resize(wide, 0, 3), DataError);
}

}  // namespace
}  // namespace capstan::data
