// The preview page: the pictures that training and evaluation would show the model.

#include "recipes/tasks/image_classification/preview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "data/image/resize.h"
#include "data/sampler.h"
#include "recipes/tasks/image_classification/batch.h"
#include "tests/recipes/tasks/image_classification/fixtures.h"

namespace capstan::image_classification {
namespace {

using engine::Split;
using ::testing::HasSubstr;

constexpr std::int64_t kSide = 112;  // 7 times 16 pixels

/// The panel at a place.
data::Image panel(const data::Image& page, std::int64_t row, std::int64_t column) {
  const std::int64_t margin = kSide / 7, step = kSide + kSide / 28, aside = column > 0 ? kSide / 10 : 0;
  return data::copy_of(data::ImageView(page).part(margin + row * step, margin + column * step + aside, kSide, kSide));
}

data::Image enlarged(const data::Image& image) { return data::with_channels(data::resize(image, kSide, kSide, data::Filter::box), 3); }

TEST(Preview, ShowsWhatBatchesHold) {
  Options o = shapes();
  o.augment = {.crop = data::TrainingCrop::resized_area, .flip = 0.5, .rand_layers = 2, .erase = 0.5, .mixup = 0.8, .cutmix = 1};
  const engine::Setup setup{.seed = 4, .batch_size = 16};
  const engine::Preview made = preview(o, kForm, setup);
  const Dataset data(o.data, o.shapes, setup);
  const data::ImagePipeline pipeline(o.pipeline(kForm));
  const std::vector<std::int64_t> first = data::shuffled(50, 4, 0);
  ASSERT_EQ(made.captions.size(), 9u);
  EXPECT_THAT(made.captions[0], HasSubstr("as evaluation shows"));
  for (std::size_t row = 0; row < 8; ++row) {
    const Example example = data.read(Split::train, first[row]);
    EXPECT_EQ(panel(made.page, static_cast<std::int64_t>(row), 0), enlarged(pipeline.shown(example.view)));
    EXPECT_EQ(made.captions[row + 1], join_text("row ", row + 1, ": image ", first[row], " (",
                                                data.class_names()[static_cast<std::size_t>(example.label)], "), epochs 0 1 2 3 4 5 6"));
  }
  for (const std::int64_t epoch : {0, 3}) {
    const std::vector<std::int64_t> order = data::shuffled(50, 4, static_cast<std::uint64_t>(epoch));
    const auto place = std::ranges::find(order, first[2]) - order.begin();
    const std::int64_t start = place / 16 * 16;
    const std::vector<std::int64_t> indices(order.begin() + start, order.begin() + std::min<std::int64_t>(start + 16, 50));
    const Batch batch = training_batch({.data = data, .pipeline = pipeline, .augment = o.augment, .setup = setup},
                                       {.split = Split::train, .epoch = epoch, .first = start, .indices = indices});
    const auto planes = batch.images.span<const float>().subspan(static_cast<std::size_t>(place - start) * 768, 768);
    EXPECT_EQ(panel(made.page, 2, epoch + 1), enlarged(data::denormalized(planes, 16, 16, pipeline.options().normalization)));
  }
}

TEST(Preview, FollowsRepeatsThroughTheEpochs) {
  Options o = shapes();
  o.shapes.train = 6;
  o.augment = {.crop = data::TrainingCrop::padded, .repeats = 3};
  const engine::Preview made = preview(o, kForm, {.seed = 4, .batch_size = 4});
  ASSERT_EQ(made.captions.size(), 7u) << "there are six images";
  EXPECT_EQ(made.page.height, 6 * (kSide + 4) - 4 + 2 * 16);
  EXPECT_THAT(made.captions[1], HasSubstr("epochs 0 0 0 "));
  EXPECT_NE(panel(made.page, 0, 1), panel(made.page, 0, 2));
  // The last of six images is not in the first epoch, which shows two images three times.
  EXPECT_THAT(made.captions[6], testing::Not(HasSubstr("epochs 0")));
}

TEST(Preview, GreyImagesAndLargeOnes) {
  Options o = shapes();
  o.shapes.train = 1;
  const engine::Preview grey = preview(o, {.size = 16, .channels = 1}, {.batch_size = 1});
  const data::Image one = panel(grey.page, 0, 1);
  EXPECT_EQ(one, panel(grey.page, 0, 0)) << "nothing is augmented";
  EXPECT_EQ(one, data::with_channels(data::with_channels(one, 1), 3));
  const engine::Preview large = preview(o, {.size = 120}, {.batch_size = 1});
  EXPECT_EQ(large.page.height, 120 + 2 * (120 / 7)) << "as they are";
}

}  // namespace
}  // namespace capstan::image_classification
