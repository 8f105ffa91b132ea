// Convolution, normalisation of images and patch embedding against PyTorch (tests/goldens/make_conv.py) and by properties.
#include "nn/conv.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "autograd/ops/conv.h"
#include "autograd/ops/elementwise.h"
#include "nn/image_normalization.h"
#include "nn/patch_embedding.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

TEST(Conv2d, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    {
      const Golden golden("conv2d/plain", dtype, "conv");
      ParameterStore store(1, dtype);
      const Conv2d conv(store.root(), {.in = 3, .out = 4, .kernel = 3, .stride = 2, .padding = padding(1)});
      golden.expect(store, 10 * tolerance, [&] { return conv(golden.input("x")); });
    }
    const Golden golden("conv2d/groups", dtype, "conv");
    ParameterStore store(1, dtype);
    const Conv2d conv(store.root(), {.in = 4, .out = 6, .kernel = 2, .dilation = 2, .groups = 2, .padding = padding(1), .bias = false});
    golden.expect(store, 10 * tolerance, [&] { return conv(golden.input("x")); });
  });
}

TEST(StdConv2d, FollowsBothForms) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const DeviationForm form : {DeviationForm::root, DeviationForm::sum}) {
      const Golden golden(form == DeviationForm::root ? "std_conv2d/root" : "std_conv2d/sum", dtype, "conv");
      ParameterStore store(1, dtype);
      const StdConv2d conv(store.root(), {.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = same_padding(), .bias = false},
                           {.form = form});
      golden.expect(store, 10 * tolerance, [&] { return conv(golden.input("x")); });
    }
  });
}

TEST(GroupNorm, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("group_norm", dtype, "conv");
    ParameterStore store(1, dtype);
    const GroupNorm norm(store.root(), {.channels = 6, .groups = 2, .epsilon = 1e-6});
    golden.expect(store, 10 * tolerance, [&] { return norm(golden.input("x")); });
  });
}

TEST(PatchEmbedding, IsTheConvolutionOfPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("patch_embedding", dtype, "conv");
    ParameterStore store(1, dtype);
    const PatchEmbedding patches(store.root(), {.channels = 3, .patch = 2, .width = 7});
    golden.expect(store, 10 * tolerance, [&] { return patches(golden.input("x")); });
    EXPECT_EQ(patches.grid(4, 6), (std::pair<std::int64_t, std::int64_t>{2, 3}));
  });
}

TEST(BatchNorm2d, FollowsPyTorchInTrainingAndAfterwards) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("batch_norm", dtype, "conv");
    ParameterStore store(1, dtype);
    const BatchNorm2d norm(store.root(), {.channels = 4, .epsilon = 1e-3, .momentum = .2});
    for (const Parameter& p : store.parameters()) set_values(p.write(), golden.values(p.name()));
    const auto filled = [&](const std::string& name) {
      Tensor t({3, 4, 2, 5}, dtype);
      set_values(t, golden.values(name));
      return t;
    };
    const Tensor x = make_leaf(filled("x")), cotangent = filled("cotangent");
    for (const std::string mode : {"evaluation", "training"}) {  // in this order: training moves the statistics
      Tape tape;
      const Tensor y = norm(x, {.training = mode == "training"});
      const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
      expect_close(y.to_vector(), golden.values(mode + "/output"), 10 * tolerance, mode);
      expect_close(g.of(x).dense().to_vector(), golden.values(mode + "/dx"), 10 * tolerance, mode + " dx");
      expect_close(g.of(store.find("weight").value()).dense().to_vector(), golden.values(mode + "/dweight"), 10 * tolerance,
                   mode + " dweight");
      expect_close(g.of(store.find("bias").value()).dense().to_vector(), golden.values(mode + "/dbias"), 10 * tolerance, mode + " dbias");
    }
    for (const std::string name : {"running_mean", "running_variance"}) {
      const Parameter& statistics = store.find(name);
      EXPECT_FALSE(statistics.trainable());
      expect_close(statistics.value().to_vector(), golden.values("after/" + name), tolerance, name);
    }
  });
}

TEST(BatchNorm2d, KeepsItsStatisticsToItself) {
  ParameterStore store;
  const BatchNorm2d norm(store.root(), {.channels = 2});
  const Parameter& mean = store.find("running_mean");
  const Tensor copy = mean.bf16();
  EXPECT_EQ(copy.to_vector(), (std::vector<double>{0, 0}));
  norm(Tensor::from<float>({1, 8, 3, 16}, {2, 2}), {.training = true});
  EXPECT_EQ(mean.bf16().to_vector(), (std::vector<double>{.2001953125, 1.203125})) << "0.2 and 1.2 in bf16";
  EXPECT_TRUE(mean.bf16().storage().same_as(copy.storage()));
  EXPECT_EQ(store.freeze(""), 4);
  EXPECT_EQ(store.unfreeze(""), 2) << "weight and bias";
  EXPECT_TRUE(store.find("weight").trainable());
  EXPECT_FALSE(mean.trainable());
}

TEST(BatchNorm2d, NeedsTwoElementsInTraining) {
  ParameterStore store;
  const BatchNorm2d norm(store.root(), {.channels = 2});
  const Tensor one = Tensor::full({1, 2, 1, 1}, 3);
  EXPECT_THROW(norm(one, {.training = true}), ShapeError);
  EXPECT_NEAR(norm(one, {}).to_vector()[0], 3 / std::sqrt(1 + 1e-5), 1e-6);
}

TEST(ImageLayers, ComputeInTheTypeOfTheirInput) {
  ParameterStore store;
  const StdConv2d conv(store.root() / "conv", {.in = 2, .out = 4, .kernel = 3, .padding = padding(1)});
  const GroupNorm norm(store.root() / "norm", {.channels = 4, .groups = 2});
  const BatchNorm2d batch_norm(store.root() / "batch_norm", {.channels = 4});
  const PatchEmbedding patches(store.root() / "patches", {.channels = 4, .patch = 2, .width = 3});
  const auto run = [&](const Tensor& x) { return patches(batch_norm(norm(conv(x)), {})); };
  const Tensor x = cosine({2, 2, 4, 4}, 0);
  const Tensor wide = run(cast(x, DType::f32)), narrow = run(cast(x, DType::bf16));
  EXPECT_EQ(wide.dtype(), DType::f32);
  EXPECT_EQ(narrow.dtype(), DType::bf16);
  expect_close(narrow.to_vector(), wide.to_vector(), .1, "bf16");
}

TEST(ImageLayers, RefuseOptionsThatDoNotFit) {
  ParameterStore store;
  EXPECT_THROW(Conv2d(store.root() / "a", {.in = 3, .out = 4, .groups = 2}), ConfigError);
  EXPECT_THROW(GroupNorm(store.root() / "b", {.channels = 6, .groups = 4}), ConfigError);
  const PatchEmbedding patches(store.root() / "c", {.channels = 1, .patch = 3, .width = 2});
  EXPECT_THROW(patches(Tensor::zeros({1, 1, 6, 7})), ShapeError);
  EXPECT_THROW(patches(Tensor::zeros({1, 2, 6, 6})), ShapeError);
}

TEST(Followed, KeepsTheOrderOfImages) {
  const auto values = [](double from) {
    Tensor t({2, 3, 4, 5});
    for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(std::sin(from + static_cast<double>(i)));
    return t;
  };
  const Tensor x = values(0), residual = values(1);
  const Tensor usual = followed(x, {.residual = residual, .relu = true});
  const Tensor turned = followed(channels_last(x), {.residual = channels_last(residual), .relu = true});
  EXPECT_EQ(turned.to_vector(), usual.to_vector());
  EXPECT_TRUE(usual.is_contiguous());
  EXPECT_TRUE(turned.layout().permute(std::array{0, 2, 3, 1}).is_contiguous()) << "the next convolution reads it as it lies";
}

}  // namespace
}  // namespace capstan::nn
