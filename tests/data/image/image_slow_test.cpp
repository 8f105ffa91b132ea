// Real image data sets, against what their publishers and their folder's README state, and the speed of the way into a batch. Needs the
// environment variable CAPSTAN_DATA to name a folder with the data sets; skipped without it.

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "data/image/cifar.h"
#include "data/image/folder.h"
#include "data/image/idx.h"
#include "data/image/pipeline.h"
#include "tests/data/image/golden.h"
#include "tests/data/image/real_data.h"

namespace capstan::data {
namespace {

std::vector<std::int64_t> class_counts(const LabelledImages& set) {
  std::vector<std::int64_t> counts(set.class_names.size());
  for (const auto label : set.labels) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

/// Images a second on this thread.
template <class F>
double rate(std::int64_t images, const F& make) {
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < images; ++i) make(i);
  return static_cast<double>(images) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(RealImages, FashionMnist) {
  const auto folder = real_data("fashion-mnist");
  if (folder.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no fashion-mnist";
  const LabelledImages train = read_idx_folder(folder, IdxPart::train), test = read_idx_folder(folder, IdxPart::test);
  EXPECT_EQ(class_counts(train), std::vector<std::int64_t>(10, 6000));
  EXPECT_EQ(class_counts(test), std::vector<std::int64_t>(10, 1000));
  double sum = 0, squares = 0;
  for (const std::uint8_t v : train.pixels) sum += v, squares += static_cast<double>(v) * v;
  const auto n = static_cast<double>(train.pixels.size());
  const double mean = sum / n / 255, deviation = std::sqrt(squares / n / 65025 - mean * mean);
  EXPECT_NEAR(mean, 0.2860, 1e-4);  // as everybody uses them
  EXPECT_NEAR(deviation, 0.3530, 1e-4);

  PipelineOptions o{.size = 28, .channels = 1, .normalization = {.mean = {mean}, .deviation = {deviation}}};
  o.crop = TrainingCrop::padded;
  o.flip = 0.5;
  o.rand_augment = timm_rand_augment();
  o.erasing.probability = 0.25;
  const ImagePipeline pipeline(o);
  std::vector<float> out(28 * 28);
  const double speed = rate(5000, [&](std::int64_t i) { pipeline.for_training(train.image(i), static_cast<std::uint64_t>(i), out); });
  std::cout << "28 x 28 images augmented: " << speed << " a second\n";
}

TEST(RealImages, CifarFirstBatch) {
  const auto folder = real_data("cifar10-part");
  if (folder.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no cifar10-part";
  const LabelledImages train = read_cifar_folder(folder, CifarPart::train, CifarLabels::ten);
  const LabelledImages test = read_cifar_folder(folder, CifarPart::test, CifarLabels::ten);
  EXPECT_EQ(train.size(), 10000);
  EXPECT_EQ(test.size(), 1000);
  EXPECT_EQ(train.class_names[6], "frog");
  EXPECT_EQ(train.labels[0], 6) << "the first image of the published set is a frog";
  std::vector<double> mean(3);
  for (std::size_t i = 0; i < train.pixels.size(); ++i) mean[i % 3] += train.pixels[i];
  const std::vector<double> whole{0.4914, 0.4822, 0.4465};  // of all five batches
  for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(mean[c] * 3 / static_cast<double>(train.pixels.size()) / 255, whole[c], 0.005);
}

TEST(RealImages, TinyImagenet) {
  if (real_data("tiny-imagenet-20").empty()) GTEST_SKIP() << "CAPSTAN_DATA has no tiny-imagenet-20";
  if (!can_decode(ImageFormat::jpeg)) GTEST_SKIP() << "built without JPEG";
  const Scratch scratch;
  const std::string root = unpack_tiny_imagenet(scratch);
  ASSERT_NE(root, "");
  const ImageFolder train(root + "/train", {}), validation(root + "/val", {.class_names = train.class_names()});
  EXPECT_EQ(train.class_names().size(), 20u);
  EXPECT_EQ(train.size(), 10000);
  EXPECT_EQ(validation.size(), 1000);
  std::int64_t grey = 0;
  for (std::int64_t i = 0; i < validation.size(); ++i) {
    const auto sample = validation.read(i);
    ASSERT_EQ(sample.image.height, 64);
    ASSERT_EQ(sample.image.width, 64);
    grey += with_channels(with_channels(sample.image, 1), 3) == sample.image ? 1 : 0;
  }
  EXPECT_GT(grey, 0);

  PipelineOptions o{.size = 224, .normalization = {.mean = {0.5, 0.5, 0.5}, .deviation = {0.5, 0.5, 0.5}}};
  o.crop = TrainingCrop::resized_area;
  o.flip = 0.5;
  const ImagePipeline pipeline(o);
  std::vector<float> out(3 * 224 * 224);
  const double speed =
      rate(500, [&](std::int64_t i) { pipeline.for_training(train.read(20 * i).image, static_cast<std::uint64_t>(i), out); });
  std::cout << "64 x 64 JPEG decoded and resized to 224 x 224: " << speed << " a second\n";
}

}  // namespace
}  // namespace capstan::data
