// The way of an image into a batch: order and options, and that a key decides everything.

#include "data/image/pipeline.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "autograd/core/error.h"
#include "tests/data/image/golden.h"

namespace capstan::data {
namespace {

const Normalization kPlain{.mean = {0, 0, 0}, .deviation = {1, 1, 1}};

TEST(Pipeline, EvaluationScalesTheShorterSideAndCropsTheMiddle) {
  const Image source = golden_image("source_3");  // 23 x 17
  const ImagePipeline pipeline({.size = 14, .normalization = kPlain, .crop_share = 0.875});
  const Image shown = pipeline.shown(source);
  EXPECT_EQ(shown, copy_of(centre_crop(resize(source, 21, 16, Filter::bicubic), 14, 14)));
  std::vector<float> out(3 * 14 * 14);
  pipeline.for_evaluation(source, out);
  EXPECT_FLOAT_EQ(out[2 * 196 + 5 * 14 + 3], static_cast<float>(shown.at(5, 3, 2)) / 255);
  // An image of the right size is taken as it is.
  const Image square = resize(source, 14, 14);
  EXPECT_EQ(ImagePipeline({.size = 14, .normalization = kPlain}).shown(square), square);
  EXPECT_EQ(ImagePipeline({.size = 14, .channels = 1, .normalization = {.mean = {0}, .deviation = {1}}}).shown(square),
            with_channels(square, 1));
}

TEST(Pipeline, EvaluationEqualsScalingTheWholeImage) {
  for (const char* name : {"source_1", "source_3"}) {
    const Image source = golden_image(name);
    for (const Filter filter : {Filter::box, Filter::bilinear, Filter::bicubic})
      for (const double share : {1.0, 0.875, 0.3})
        for (const std::int64_t size : {1, 5, 14, 17, 31}) {
          const ImagePipeline pipeline({.size = size, .normalization = kPlain, .filter = filter, .crop_share = share});
          const auto side = static_cast<std::int64_t>(static_cast<double>(size) / share);
          const Image whole = resize_shorter_side(source, side, filter);
          ASSERT_EQ(pipeline.shown(source), with_channels(centre_crop(whole, size, size), 3)) << name << " " << size << " " << share;
        }
  }
}

TEST(Pipeline, TakesStripsThatWouldBeHugeWhenScaled) {
  for (const bool tall : {true, false}) {
    Image strip = tall ? Image(60000, 1, 3) : Image(1, 60000, 3);   // scaled as a whole: 224 x 13,440,000 pixels
    for (std::size_t i = 0; i < 90000; ++i) strip.pixels[i] = 200;  // the first half
    PipelineOptions options{.size = 224, .normalization = kPlain, .filter = Filter::box};
    const Image shown = ImagePipeline(options).shown(strip);
    ASSERT_EQ(shown.height, 224);
    ASSERT_EQ(shown.width, 224);
    EXPECT_EQ(shown.at(0, 0, 0), 200);
    EXPECT_EQ(tall ? shown.at(111, 223, 1) : shown.at(223, 111, 1), 200);
    EXPECT_EQ(tall ? shown.at(112, 0, 1) : shown.at(0, 112, 1), 0) << "the middle";
    for (const TrainingCrop crop : {TrainingCrop::none, TrainingCrop::padded, TrainingCrop::resized_area}) {
      options.crop = crop;
      std::vector<float> out(3 * 224 * 224);
      EXPECT_NO_THROW(ImagePipeline(options).for_training(strip, 1, out));
    }
  }
}

TEST(Pipeline, TrainingIsAFunctionOfTheKey) {
  const Image source = golden_image("source_3");
  PipelineOptions all{.size = 12, .normalization = kPlain, .crop = TrainingCrop::resized_area, .flip = 0.5};
  all.rand_augment = timm_rand_augment();
  all.erasing.probability = 0.5;
  const ImagePipeline pipeline(all);
  std::set<std::vector<float>> seen;
  for (std::uint64_t key = 0; key < 50; ++key) {
    std::vector<float> a(3 * 144), b(3 * 144);
    pipeline.for_training(source, key, a);
    pipeline.for_training(source, key, b);
    ASSERT_EQ(a, b);
    seen.insert(a);
  }
  EXPECT_EQ(seen.size(), 50u);
}

TEST(Pipeline, ColoursChangeBeforeRandAugment) {
  const Image source = golden_image("source_3");
  const ColorJitter jitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1};
  const RandAugment operations{.layers = 2};
  const ImagePipeline pipeline({.size = 12, .normalization = kPlain, .color_jitter = jitter, .rand_augment = operations});
  std::vector<float> out(3 * 144), expected(3 * 144);
  for (std::uint64_t key = 0; key < 20; ++key) {
    pipeline.for_training(source, key, out);
    Image x = pipeline.shown(source);
    Rng rng(key);
    color_jitter(x, jitter, rng);
    rand_augment(x, operations, rng);
    normalize(x, kPlain, expected);
    ASSERT_EQ(out, expected);
  }
}

TEST(Pipeline, WithoutAugmentationTrainingSeesWhatEvaluationSees) {
  const Image source = golden_image("source_3");
  const ImagePipeline pipeline({.size = 16, .normalization = kPlain});
  std::vector<float> a(3 * 256), b(3 * 256);
  pipeline.for_training(source, 3, a);
  pipeline.for_evaluation(source, b);
  EXPECT_EQ(a, b);
}

TEST(Pipeline, FlipsAsOftenAsAsked) {
  Image source(1, 2, 1);
  source.pixels = {0, 255};
  const ImagePipeline pipeline({.size = 1, .channels = 1, .normalization = {.mean = {0}, .deviation = {1}}});
  EXPECT_THROW(ImagePipeline({.size = 1, .channels = 3, .normalization = {.mean = {0}, .deviation = {1}}}), ConfigError);
  EXPECT_THROW(ImagePipeline({.size = 0, .normalization = kPlain}), ConfigError);
  Image square(2, 2, 1);
  square.pixels = {0, 255, 0, 255};
  const ImagePipeline flipping({.size = 2, .channels = 1, .normalization = {.mean = {0}, .deviation = {1}}, .flip = 0.3});
  int flipped = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    std::vector<float> out(4);
    flipping.for_training(square, key, out);
    flipped += out[0] == 1 ? 1 : 0;
  }
  EXPECT_NEAR(flipped, 300, 45);
}

}  // namespace
}  // namespace capstan::data
