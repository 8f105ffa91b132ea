// The worst mistakes of a classifier of images, and what a model with attention looks at.

#include "recipes/tasks/image_classification/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipes/engine/report/finding_parts.h"
#include "tests/recipes/tasks/image_classification/fixtures.h"

namespace capstan::image_classification {
namespace {

using engine::Split;
using ::testing::HasSubstr;

TEST(ImageFindings, AreTheMistakesItWasSurestOf) {
  const Options o = shapes();
  const Dataset data(o.data, o.shapes, {});
  ShownImages shown(data, Split::test,
                    [&](const data::ImageView& image) { return ShownImages::Looked{.said = "ring 0.900", .page = data::copy_of(image)}; });
  engine::ConfusionMatrix confusion(data.class_names());
  const auto add = [&](std::int64_t index, std::int64_t truth, std::int64_t said, double probability) {
    shown.add(index, truth, said, probability);
    confusion.add(truth, said);
  };
  const std::int64_t first = data.read(Split::test, 3).label, second = data.read(Split::test, 7).label;
  add(3, first, (first + 1) % 6, .625);
  add(7, second, (second + 1) % 6, .75);
  add(1, 0, 0, .99);
  const std::vector<engine::Finding> all = shown.findings(confusion);
  ASSERT_EQ(all.size(), 5U) << "confusion, classes, mistakes, reliability, attention";
  EXPECT_EQ(all[2].title, "Worst mistakes");
  const auto& mistakes = std::get<engine::FindingPictures>(all[2].shown).pictures;
  ASSERT_EQ(mistakes.size(), 2U);
  const auto name = [&](std::int64_t c) { return data.class_names()[static_cast<std::size_t>(c % 6)]; };
  EXPECT_EQ(mistakes[0].caption, name(second) + ", said " + name(second + 1) + " 0.750");
  EXPECT_EQ(mistakes[1].caption, name(first) + ", said " + name(first + 1) + " 0.625");
  EXPECT_EQ(mistakes[0].image, engine::page_picture(data.read(Split::test, 7).view)) << "as the data has it, enlarged";
  EXPECT_EQ(mistakes[0].image.height, 112);
  const auto& looked = std::get<engine::FindingPictures>(all[4].shown).pictures;
  ASSERT_EQ(looked.size(), 6U);
  EXPECT_THAT(looked[0].caption, HasSubstr(", said ring 0.900"));
  EXPECT_EQ(looked[0].image, data::copy_of(data.read(Split::test, 1).view)) << "18 images in six stretches, the middle of each";
}

}  // namespace
}  // namespace capstan::image_classification
