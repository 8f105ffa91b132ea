// The quickstart as a user runs it: shapes are recognised, and the attention pictures show the object and not the background.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "data/image/image.h"
#include "data/synthetic/shapes.h"
#include "recipes/tasks/image_classification/options.h"
#include "recipes/vit/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::vit {
namespace {

constexpr std::int64_t kSize = 96;  // of a panel

struct VitQuickstart : engine::test::RecipeProgram {
  VitQuickstart() : RecipeProgram(vit::recipe()) {}
};

TEST_F(VitQuickstart, LooksAtTheObject) {
  if (!data::can_decode(data::ImageFormat::png)) GTEST_SKIP() << "built without PNG";
  ASSERT_EQ(train_quickstart("run", {"train.epochs=10"}), engine::kOk) << err.str();
  const std::string best = scratch / "run/checkpoints/best.h5";
  ASSERT_EQ(capstan({"evaluate", config, "--checkpoint", best}), engine::kOk) << err.str();
  EXPECT_GE(metric("accuracy"), 0.85);

  // The second panel of a rollout picture is the image times the mask; their ratio is the mask.
  constexpr int kImages = 30;
  std::string numbers;
  for (int i = 0; i < kImages; ++i) numbers += std::to_string(i) + "\n";
  ASSERT_EQ(capstan({"predict", config, "--checkpoint", best, "--input", "-", "--output", "-", "predict.input=indices",
                     "predict.pictures=" + scratch / "pictures", "predict.picture_size=" + std::to_string(kSize)},
                    numbers),
            engine::kOk)
      << err.str();
  const image_classification::ShapesOptions section;
  const data::ShapeImages shapes({.noise = section.noise, .seed = static_cast<std::uint64_t>(section.seed)});
  int shown = 0;
  for (int i = 0; i < kImages; ++i) {
    const std::string digits = std::to_string(i + 1);
    const std::string name = std::string(4 - digits.size(), '0') + digits + "-" + std::to_string(i) + "-rollout.png";
    const data::Image picture = data::read_image(scratch / "pictures/" + name);
    const data::ShapeObject object = shapes.get(6000 + section.validation + i).objects.at(0);  // quickstart.cfg: 6000 train
    double inside = 0, outside = 0, inside_count = 0, outside_count = 0;
    for (std::int64_t y = 0; y < kSize; ++y)
      for (std::int64_t x = 0; x < kSize; ++x) {
        int image = 0, masked = 0;
        for (std::int64_t c = 0; c < 3; ++c) {
          image += picture.at(y, x, c);
          masked += picture.at(y, x + kSize + 4, c);
        }
        const double share = static_cast<double>(masked) / std::max(1, image), scale = static_cast<double>(kSize) / 32;
        const double px = (static_cast<double>(x) + 0.5) / scale, py = (static_cast<double>(y) + 0.5) / scale;
        if (px >= object.left && px < object.right && py >= object.top && py < object.bottom) {
          inside += share, ++inside_count;
        } else {
          outside += share, ++outside_count;
        }
      }
    shown += inside / inside_count > 1.5 * outside / outside_count ? 1 : 0;
  }
  EXPECT_GE(shown, kImages * 8 / 10) << "pictures in which the object's box is brighter than the rest";
}

}  // namespace
}  // namespace capstan::vit
