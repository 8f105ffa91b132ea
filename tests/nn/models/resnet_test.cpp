// The residual network: sizes, what is frozen, and both ways that its normalisations compute. (Its numbers are compared with those of
// others in tests/recipes/resnet/foreign_test.cpp.)
#include "nn/models/resnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "nn/models/resnet_names.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

ResNetOptions tiny(ResNetBlock block) {
  return {.classes = 3, .block = block, .blocks = {1, 2}, .widths = {8, 12}, .stem_width = 4, .stem = ResNetStem::small};
}

Tensor images(const Shape& shape, DType dtype = DType::f32) { return cast(cosine(shape, 0), dtype); }

TEST(ResNet, FeaturesHaveThePublishedSizes) {
  ResNetOptions o = tiny(ResNetBlock::bottleneck);
  o.blocks = {1, 1, 1, 2};
  o.widths = {8, 8, 8, 16};
  const auto shape = [&](std::int64_t height, std::int64_t width) {
    ParameterStore store;
    const Tensor y = ResNet(store.root(), o).features(images({1, 3, height, width}), {});
    EXPECT_EQ(feature_size(o, height, width), (std::pair{y.size(2), y.size(3)}));
    return y.shape();
  };
  EXPECT_EQ(shape(32, 28), (Shape{1, 16, 4, 4})) << "small stem";
  o.stem = ResNetStem::large;
  EXPECT_EQ(shape(64, 97), (Shape{1, 16, 2, 4})) << "stride 32, rounded up";
  o.dilate_last = true;
  EXPECT_EQ(shape(64, 97), (Shape{1, 16, 4, 7})) << "stride 16";
  EXPECT_EQ(feature_size(o, 800, 1066), (std::pair<std::int64_t, std::int64_t>{50, 67}));
}

TEST(ResNet, FrozenItKeepsItsStatisticsAndTrainsItsConvolutions) {
  for (const ResNetBlock block : {ResNetBlock::basic, ResNetBlock::bottleneck}) {
    ResNetOptions o = tiny(block);
    o.norm = ResNetNorm::frozen;
    ParameterStore store(3);
    const ResNet model(store.root(), o);
    store.freeze("stem");
    store.freeze("stages/0");
    const Tensor x = images({2, 3, 9, 8}), labels = Tensor::from(std::vector<std::int64_t>{0, 2}, {2});
    std::vector<std::vector<double>> before;
    for (const Parameter& p : store.parameters()) before.push_back(p.value().to_vector());
    Tape tape;
    const Tensor logits = model.logits(x, {.training = true});
    EXPECT_EQ(logits.to_vector(), model.logits(x, {}).to_vector()) << "training and use are one";
    const Gradients g = tape.backward(cross_entropy(logits, labels).value);
    for (std::size_t i = 0; i < store.parameters().size(); ++i) {
      const Parameter& p = store.parameters()[i];
      EXPECT_EQ(p.value().to_vector(), before[i]) << p.name();
      const bool trained = (p.name().find("conv") != std::string::npos && p.name().starts_with("stages/1")) || p.name().starts_with("head");
      EXPECT_EQ(p.trainable(), trained) << p.name();
      EXPECT_EQ(p.trainable() && g.of(p.value()).defined(), trained) << p.name();
    }
  }
}

TEST(ResNet, WithTheStatisticsOfABatchGivesInUseWhatItGaveInTraining) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const ResNetBlock block : {ResNetBlock::basic, ResNetBlock::bottleneck}) {
      ResNetOptions o = tiny(block);
      o.norm_momentum = 1;
      ParameterStore store(3, dtype == DType::f64 ? DType::f64 : DType::f32);
      const ResNet model(store.root(), o);
      const Tensor x = images({40, 3, 12, 11}, dtype);
      const std::vector<double> trained = model.logits(x, {.training = true}).to_vector();
      EXPECT_EQ(store.find("stem/norm/batches_tracked").value().item(), 1);
      // Up to the unbiased variance that is kept: 1 / (40 * 3) of it in the last stage.
      expect_close(model.logits(x, {}).to_vector(), trained, dtype == DType::bf16 ? .1 : .02, std::string(name_of(dtype)));
    }
}

TEST(ResNet, GreyImagesAreTakenToo) {
  ResNetOptions o = tiny(ResNetBlock::basic);
  o.channels = 1;
  ParameterStore store(3), wide_store(3, DType::f64);
  const ResNet model(store.root(), o), wide(wide_store.root(), o);
  expect_close(model.logits(images({3, 1, 10, 9}), {.training = true}).to_vector(),
               wide.logits(images({3, 1, 10, 9}, DType::f64), {.training = true}).to_vector(), 1e-4, "f32 beside f64");
}

TEST(ResNet, BlocksMayStartAsTheirShortcuts) {
  ResNetOptions o = tiny(ResNetBlock::bottleneck);
  o.zero_last_gain = true;
  ParameterStore store(3);
  const ResNet model(store.root(), o);
  for (const Parameter& p : store.parameters()) {
    const bool gain = p.name().find("/norm") != std::string::npos && p.name().ends_with("/weight");
    const double expected = p.name().ends_with("norm3/weight") ? 0 : 1;
    if (gain) {
      EXPECT_EQ(p.value().to_vector(), std::vector<double>(static_cast<std::size_t>(p.value().numel()), expected)) << p.name();
    }
    EXPECT_EQ(p.decay(), p.value().rank() > 1) << p.name();
  }
}

TEST(ResNet, RefusesWhatDoesNotFit) {
  const auto message = [](const ResNetOptions& o) {
    return message_of<ConfigError>([&] {
      ParameterStore store;
      const ResNet model(store.root(), o);
    });
  };
  ResNetOptions widths = tiny(ResNetBlock::bottleneck), stages = widths, headless = widths;
  widths.widths[1] = 10;
  stages.blocks = {1};
  headless.classes = 0;
  EXPECT_NE(message(widths).find("must be multiples of 4, got 10"), std::string::npos) << message(widths);
  EXPECT_NE(message(stages).find("one number for each stage, at most 8, got 1 and 2"), std::string::npos) << message(stages);
  ParameterStore store;
  const ResNet model(store.root(), headless);
  EXPECT_THROW(model.logits(images({1, 3, 8, 8}), {}), ConfigError);
  EXPECT_EQ(smallest_training_batch(tiny(ResNetBlock::basic), 2, 2), 2);
  EXPECT_EQ(smallest_training_batch(tiny(ResNetBlock::basic), 3, 3), 1);
}

TEST(ResNetNames, OldFilesWithoutCountsAreTaken) {
  const ResNetOptions o = tiny(ResNetBlock::bottleneck);
  ParameterStore from(3), to(4);
  const ResNet model(from.root(), o), other(to.root(), o);
  const ForeignNames names = torchvision_names(o);
  TensorSource file{.name = "old", .tensors = {}, .read = {}};
  std::vector<std::pair<std::string, Tensor>> tensors = translated_back(names, from);
  for (const auto& [name, value] : tensors) {
    if (name.ends_with("num_batches_tracked")) {
      EXPECT_EQ(value.spec(), (Spec{Shape{}, DType::i64})) << name;
    } else {
      file.tensors.emplace_back(name, value.spec());
    }
  }
  file.read = [&](std::string_view wanted) { return std::ranges::find(tensors, wanted, &std::pair<std::string, Tensor>::first)->second; };
  const Imported imported = import_parameters(translated(file, names, to), {.heads = names.heads}, {}, to);
  EXPECT_EQ(imported.taken.size(), file.tensors.size());
  for (const std::string& name : imported.fresh) EXPECT_TRUE(name.ends_with("batches_tracked")) << name;
  const Tensor x = images({2, 3, 9, 8});
  EXPECT_EQ(other.logits(x, {}).to_vector(), model.logits(x, {}).to_vector());
}

}  // namespace
}  // namespace capstan::nn
