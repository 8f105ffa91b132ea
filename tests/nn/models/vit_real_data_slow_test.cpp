// The models of vit/cifar10 and vit/image_folder learn real images as PyTorch does (tests/goldens/make_vit_real.py): 50 steps without
// dropout and augmentation. Needs the environment variable CAPSTAN_DATA to name a folder with the data sets; skipped without it.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "autograd/ops/loss.h"
#include "data/hdf5/hdf5.h"
#include "data/image/cifar.h"
#include "data/image/folder.h"
#include "data/image/transforms.h"
#include "nn/models/vit.h"
#include "optim/adam.h"
#include "tests/data/image/real_data.h"
#include "tests/nn/models/vit_formula.h"

namespace capstan::nn {
namespace {

/// Writes image `index`, normalised, to `out` and returns its class.
using Read = std::function<std::int64_t(std::int64_t index, std::span<float> out)>;

void expect_learns_as_pytorch(const std::string& name, std::int64_t pixels, std::int64_t patch, std::int64_t classes, std::int64_t size,
                              const Read& read) {
  constexpr std::int64_t kBatch = 32;
  ParameterStore store;
  const Vit model(store.root(), {.image_size = pixels,
                                 .classes = classes,
                                 .patch_size = patch,
                                 .hidden_size = 192,
                                 .layers = 6,
                                 .heads = 3,
                                 .mlp_size = 768,
                                 .dropout = 0});
  fill_by_chirp(store);
  optim::AdamW optimizer(store.parameters(), {.weight_decay = .05});
  const data::Hdf5Reader file(CAPSTAN_SOURCE_DIR "/tests/goldens/vit_real.h5", {.require_seal = false});
  const std::vector<double> expected = file.read("/" + name + "/curve").to_vector();
  const Tensor images({kBatch, 3, pixels, pixels}), labels(Shape{kBatch}, DType::i64);
  for (std::size_t step = 0; step < expected.size(); ++step) {
    const auto s = static_cast<std::int64_t>(step);
    for (std::int64_t j = 0; j < kBatch; ++j) {
      const std::size_t count = static_cast<std::size_t>(3 * pixels * pixels);
      labels.data<std::int64_t>()[j] =
          read(37 * (kBatch * s + j) % size, images.span<float>().subspan(static_cast<std::size_t>(j) * count, count));
    }
    Tape tape;
    const Loss loss = cross_entropy(model.logits(images, {.training = true, .step = s}), labels);
    EXPECT_NEAR(loss.value.item(), expected[step], 1e-3) << "step " << step;
    optimizer.step(store.gradients(tape.backward(loss.value)), 5e-4 * std::min((static_cast<double>(s) + 1) / 5, 1.0));
  }
}

TEST(VitRealData, LearnsCifar10AsPyTorchDoes) {
  const std::string path = data::real_data("cifar10-part");
  if (path.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no cifar10-part";
  const data::LabelledImages set = data::read_cifar_folder(path, data::CifarPart::train, data::CifarLabels::ten);
  const data::Normalization normalization{{.4914, .4822, .4465}, {.2470, .2435, .2616}};
  expect_learns_as_pytorch("cifar10", 32, 4, 10, set.size(), [&](std::int64_t index, std::span<float> out) {
    data::normalize(set.image(index), normalization, out);
    return set.labels[static_cast<std::size_t>(index)];
  });
}

TEST(VitRealData, LearnsTinyImagenetAsPyTorchDoes) {
  if (data::real_data("tiny-imagenet-20").empty()) GTEST_SKIP() << "CAPSTAN_DATA has no tiny-imagenet-20";
  if (!data::can_decode(data::ImageFormat::jpeg)) GTEST_SKIP() << "built without JPEG";
  const data::Scratch scratch;
  const std::string path = data::unpack_tiny_imagenet(scratch);
  ASSERT_NE(path, "");
  const data::ImageFolder set(path + "/train", {});
  const data::Normalization normalization{{.485, .456, .406}, {.229, .224, .225}};
  expect_learns_as_pytorch("tiny_imagenet", 64, 8, 20, set.size(), [&](std::int64_t index, std::span<float> out) {
    const data::ImageFolder::Sample sample = set.read(index);
    data::normalize(sample.image, normalization, out);
    return sample.label;
  });
}

}  // namespace
}  // namespace capstan::nn
