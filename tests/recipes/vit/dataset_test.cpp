// ViT's data: parts and holdout, order and batches as functions of their place, mixing, the confusion matrix, attention pictures.

#include "recipes/vit/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>

#include "autograd/core/error.h"
#include "recipes/vit/batch.h"
#include "recipes/vit/evaluation.h"
#include "recipes/vit/pictures.h"
#include "tests/data/scratch.h"

namespace capstan::vit {
namespace {

using ::testing::HasSubstr;

Config shapes_config() {
  Config c;
  c.data.source = Source::shapes;
  c.shapes = {.train = 50, .validation = 12, .test = 18, .size = 16};
  c.model.image_size = 16;
  return c;
}

TEST(VitDataset, HoldsOutTheSameImagesForEverySeed) {
  Config c = shapes_config();
  c.data.holdout = 20;
  const Dataset a(c.data, c.shapes, {.seed = 1}), b(c.data, c.shapes, {.seed = 2});
  EXPECT_EQ(a.size(Part::train), 30);
  EXPECT_EQ(a.size(Part::validation), 20);
  EXPECT_EQ(a.size(Part::test), 18);
  EXPECT_EQ(a.digest(), b.digest());
  std::set<std::string> all;  // of pixels as text
  for (std::int64_t i = 0; i < 20; ++i) {
    const data::Image x = copy_of(a.read(Part::validation, i).view);
    EXPECT_EQ(x, copy_of(b.read(Part::validation, i).view));
    all.emplace(x.pixels.begin(), x.pixels.end());
  }
  for (std::int64_t i = 0; i < 30; ++i) {
    const data::Image x = copy_of(a.read(Part::train, i).view);
    all.emplace(x.pixels.begin(), x.pixels.end());
  }
  EXPECT_EQ(all.size(), 50u) << "no image is in both parts";
  EXPECT_NE(*a.order(0), *b.order(0));
  EXPECT_NE(*a.order(0), *a.order(1));
}

TEST(VitDataset, HeldOutImagesStandInForNoTrainingImage) {
  if (!data::can_decode(data::ImageFormat::png)) GTEST_SKIP();
  const data::Scratch scratch;
  constexpr std::int64_t kImages = 30;
  for (const char* part : {"train", "test"}) {
    for (const char* name : {"a", "b"}) std::filesystem::create_directories(scratch / part + "/" + name);
    for (std::int64_t i = 0; i < kImages; ++i) {
      data::Image image(2, 2, 3);
      image.pixels[0] = static_cast<std::uint8_t>(i);  // tells which one it is
      const std::string number = std::to_string(100 + i);
      data::write_png(scratch / part + (i % 2 == 0 ? "/a/" : "/b/") + number + ".png", image);
    }
  }
  Config c;
  c.data.path = scratch.path();
  c.data.holdout = 12;
  c.data.broken = data::Broken::skip;
  const auto number_of = [](const Example& e) { return static_cast<int>(e.view.pixels[0]); };
  std::set<int> held, trained;
  {
    const Dataset sound(c.data, c.shapes, {.seed = 1});
    for (std::int64_t i = 0; i < 12; ++i) held.insert(number_of(sound.read(Part::validation, i)));
    for (std::int64_t i = 0; i < kImages - 12; ++i) trained.insert(number_of(sound.read(Part::train, i)));
  }
  ASSERT_EQ(held.size() + trained.size(), 30u);
  const int last = *trained.begin();
  for (const int i : trained)  // all but one
    if (i != last) scratch.write(std::string("train/") + (i % 2 == 0 ? "a/" : "b/") + std::to_string(100 + i) + ".png", "broken");
  const Dataset d(c.data, c.shapes, {.seed = 1});
  for (std::int64_t i = 0; i < d.size(Part::train); ++i) EXPECT_EQ(number_of(d.read(Part::train, i)), last);
  EXPECT_EQ(d.broken().size(), trained.size() - 1);
  scratch.write(std::string("train/") + (last % 2 == 0 ? "a/" : "b/") + std::to_string(100 + last) + ".png", "broken");
  EXPECT_THROW(d.read(Part::train, 0), DataError) << "rather than a validation image";
  for (std::int64_t i = 0; i < 12; ++i) EXPECT_TRUE(held.contains(number_of(d.read(Part::validation, i))));
}

TEST(VitDataset, NamesAFolderThatCannotBeReached) {
  const data::Scratch scratch;
  std::filesystem::create_symlink("train", scratch / "train");  // round in a circle
  Config c;
  c.data.path = scratch.path();
  try {
    const Dataset d(c.data, c.shapes, {.seed = 1});
    ADD_FAILURE() << "accepted";
  } catch (const IoError& e) {
    EXPECT_THAT(e.what(), HasSubstr(scratch / "train: cannot be reached: "));
  }
}

TEST(VitDataset, BatchesAreFunctionsOfTheirPlace) {
  Config c = shapes_config();
  c.augment = {.crop = data::TrainingCrop::resized_area,
               .flip = 0.5,
               .rand_layers = 2,
               .erase = 0.5,
               .mixup = 0.8,
               .cutmix = 1,
               .label_smoothing = 0.1};
  const Dataset d(c.data, c.shapes, {.seed = 3});
  const data::ImagePipeline pipeline(c.pipeline());
  const auto batch = [&](std::int64_t epoch, std::int64_t number) {
    return training_batch(d, pipeline, c.augment, 3, epoch, number, number * 16, 16);
  };
  const Batch first = batch(2, 1);
  batch(0, 0);  // another epoch's order in between
  const Batch again = batch(2, 1);
  EXPECT_EQ(first.images.to_vector(), again.images.to_vector());
  EXPECT_EQ(first.targets.to_vector(), again.targets.to_vector());
  EXPECT_NE(first.images.to_vector(), batch(2, 0).images.to_vector());
  EXPECT_NE(first.images.to_vector(), batch(3, 1).images.to_vector());
  EXPECT_EQ(batch(2, 3).size(), 2) << "50 images are three batches of 16 and one of 2";

  std::multiset<std::int64_t> seen;
  for (std::int64_t n = 0; n < 4; ++n)
    for (const double s : batch(5, n).samples.to_vector()) seen.insert(static_cast<std::int64_t>(s));
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), 50u) << "an epoch shows every image once";
  for (std::int64_t i = 0; i < 16; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < 6; ++k) sum += static_cast<double>(first.targets.span<const float>()[static_cast<std::size_t>(6 * i + k)]);
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  c.augment.mixup = c.augment.cutmix = 0;
  EXPECT_FALSE(batch(0, 0).targets.defined());
}

TEST(VitEvaluation, CountsWhatIsRecognised) {
  const Config c = shapes_config();
  const Dataset d(c.data, c.shapes, {.seed = 1});  // test images: classes 2, 3, 4, 5, 0, 1, ... (62 images before them)
  const data::ImagePipeline pipeline(c.pipeline());
  EvaluateOptions options;
  options.batch_size = 5;
  options.per_class = true;
  std::int64_t next = 0;
  const Evaluation e = evaluate(d, Part::test, pipeline, options, [&](const Tensor& images) {
    // Right for even classes; odd ones are taken for 0, the truth comes second in the list.
    const Tensor logits = Tensor::zeros(Shape{images.size(0), 6});
    for (std::int64_t i = 0; i < images.size(0); ++i, ++next) {
      const std::int64_t truth = (62 + next) % 6;
      logits.span<float>()[static_cast<std::size_t>(6 * i + truth)] = 1;
      if (truth % 2 == 1) logits.span<float>()[static_cast<std::size_t>(6 * i)] = 2;
    }
    return logits;
  });
  EXPECT_EQ(next, 18);
  EXPECT_DOUBLE_EQ(engine::value_of(e.metrics, "accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(engine::value_of(e.metrics, "top5_accuracy"), 1);
  const double even = std::log(std::exp(1) + 5) - 1, odd = std::log(std::exp(2) + std::exp(1) + 4) - 1;
  EXPECT_NEAR(engine::value_of(e.metrics, "loss"), (even + odd) / 2, 1e-6);
  EXPECT_DOUBLE_EQ(engine::value_of(e.metrics, "recall/cross"), 0);
  EXPECT_DOUBLE_EQ(engine::value_of(e.metrics, "recall/ring"), 1);
  EXPECT_EQ(e.confusion.count(3, 0), 3);
  EXPECT_DOUBLE_EQ(e.confusion.precision(0), 0.25);
}

TEST(VitEvaluation, ConfusionMatrixAsText) {
  ConfusionMatrix a(2), b(2);
  a.add(0, 0, 3);
  a.add(0, 1);
  b.add(1, 1, 4);
  a.merge(b);
  EXPECT_EQ(a.to_tsv({"x", "y"}), "true\\predicted\tx\ty\trecall\nx\t3\t1\t0.75\ny\t0\t4\t1\nprecision\t1\t0.8\t0.875\n");
  EXPECT_TRUE(std::isnan(ConfusionMatrix(2).accuracy()));
}

TEST(VitPictures, ShowThePatchThatIsAttendedTo) {
  // One layer, two heads, class token and 2 x 2 patches: head 0 looks at the patch on the lower left, head 1 at all alike.
  const Tensor p = Tensor::full(Shape{1, 2, 5, 5}, 0.2);
  for (std::int64_t i = 0; i < 5; ++i) p.data<float>()[i] = i == 3 ? 0.96f : 0.01f;
  data::Image white(8, 8, 3);
  for (auto& v : white.pixels) v = 200;
  const AttentionPictures made = attention_pictures(white, std::span(&p, 1), {2, 2}, true, 64);
  ASSERT_EQ(made.heads.height, 32);
  ASSERT_EQ(made.heads.width, 2 * 32 + 4);
  EXPECT_EQ(made.heads.at(30, 1, 0), 200);
  EXPECT_LT(made.heads.at(1, 1, 0), 10);
  EXPECT_LT(made.heads.at(30, 30, 0), 10);
  EXPECT_EQ(made.heads.at(1, 33, 0), 255) << "the gap";
  for (const std::int64_t y : {1, 30})
    for (const std::int64_t x : {37, 66}) EXPECT_EQ(made.heads.at(y, x, 1), 200);
  ASSERT_EQ(made.rollout.width, 3 * 64 + 8);
  EXPECT_EQ(made.rollout.at(1, 1, 0), 200) << "the image itself";
  EXPECT_EQ(made.rollout.at(60, 68 + 3, 0), 200) << "the image times the mask";
  EXPECT_LT(made.rollout.at(3, 68 + 3, 0), 60);
  EXPECT_GT(made.rollout.at(60, 136 + 3, 0), made.rollout.at(3, 136 + 3, 0)) << "the mask in colours";
  // Rollout of the published rule: the mean of heads is .58 for that patch and .105 for the others; the identity and the division by the
  // row's sum do not change their ratio.
  EXPECT_NEAR(rollout_weights(std::span(&p, 1), true)[2], 1, 1e-6);
  EXPECT_NEAR(rollout_weights(std::span(&p, 1), true)[0], 0.105 / 0.58, 1e-5);
  try {
    attention_pictures(white, std::span(&p, 1), {2, 3}, true, 64);
    ADD_FAILURE() << "accepted";
  } catch (const ShapeError& e) {
    EXPECT_THAT(e.what(), HasSubstr("5 tokens are not a grid of 2 x 3 patches and a class token"));
  }
}

TEST(VitPictures, WithoutAClassTokenRowsAreAveraged) {
  const Tensor p = Tensor::zeros(Shape{1, 1, 4, 4});
  for (std::int64_t r = 0; r < 4; ++r) p.data<float>()[4 * r + 1] = 1;  // everybody looks at patch 1
  EXPECT_THAT(rollout_weights(std::span(&p, 1), false), ::testing::ElementsAre(0.2f, 1, 0.2f, 0.2f));
}

}  // namespace
}  // namespace capstan::vit
