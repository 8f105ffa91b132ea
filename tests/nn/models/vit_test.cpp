// The vision transformer: numbers of the well-known code on weights by formula, sizes, resolutions, and what must not depend on the batch.
#include "nn/models/vit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/models/vit_stem.h"
#include "tests/nn/models/vit_formula.h"

namespace capstan::nn {
namespace {

std::vector<double> row(const Tensor& probabilities, std::int64_t head) {
  const std::vector<double> all = probabilities.to_vector();
  const std::int64_t n = probabilities.size(3);
  const auto first = all.begin() + head * n * n;
  return {first, first + n};
}

TEST(Vit, GivesTheNumbersOfTheFormula) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ParameterStore store(1, dtype);
    const Vit model(store.root(), kTiny);
    fill_vit_by_formula(store);
    const Tensor images = cast(cosine({1, 3, 8, 8}, 0), dtype);
    const Vit::WithAttention seen = model.with_attention(images, {});
    expect_close(seen.logits.to_vector(), {-.187931, -.643031, -.80921}, 1e-5, "logits");
    expect_close(model.logits(images, {}).to_vector(), seen.logits.to_vector(), 1e-6, "logits without attention");
    ASSERT_EQ(seen.probabilities.size(), 2u);
    expect_close(row(seen.probabilities[0], 0), {.473254, .168414, .124767, .111333, .122232}, 1e-5, "layer 0, head 0");
    expect_close(row(seen.probabilities[1], 1), {.254705, .215271, .195291, .160129, .174604}, 1e-5, "layer 1, head 1");
  }
}

TEST(VitBottleneck, GivesTheNumbersOfTheFormula) {
  for (const std::int64_t stride : {1, 2}) {
    ParameterStore store(1, DType::f64);
    const VitBottleneck block(store.root(), {.in = 32, .inner = 32, .out = 128, .stride = stride, .form = VitStemForm::torch_port});
    int t = 0;
    for (const std::string i : {"1", "2", "3"}) {
      fill_linear(store, "norm" + i, t);
      fill(store, "conv" + i + "/weight", t);
    }
    fill(store, "shortcut_conv/weight", t);
    fill_linear(store, "shortcut_norm", t);
    const Tensor y = block(cosine({1, 32, 4, 4}, 0));
    const std::vector<double> values = y.to_vector();
    const std::size_t channel = values.size() / 128;
    double sum = 0;
    for (const double v : values) sum += v;
    EXPECT_NEAR(sum, stride == 1 ? 248.423596 : 61.979311, 1e-4);
    EXPECT_NEAR(*std::ranges::max_element(values), stride == 1 ? .71265 : .694174, 1e-5);
    expect_close({values[0], values[channel], values[2 * channel]}, {stride == 1 ? .213165 : .21762, 0, 0}, 1e-5, "channels at (0, 0)");
  }
}

TEST(Vit, TinyHasThePublishedSize) {
  const VitSize& tiny = kVitSizes[0];
  ParameterStore store;
  const Vit model(store.root(), {.hidden_size = tiny.hidden_size, .layers = tiny.layers, .heads = tiny.heads, .mlp_size = tiny.mlp_size});
  EXPECT_EQ(store.numel(), 5'717'416);
}

TEST(Vit, HybridsHaveTheGridOfTheirStride) {
  for (const VitStemForm form : {VitStemForm::flax, VitStemForm::torch_port}) {
    const VitOptions o{.image_size = 224, .stem = VitStem::resnet, .stem_form = form};
    EXPECT_EQ(VitResnetStem::channels(o), 1024);
    EXPECT_EQ(VitResnetStem::feature_size(o, 224, 224), (std::pair<std::int64_t, std::int64_t>{14, 14}));
    EXPECT_EQ(VitResnetStem::feature_size(o, 256, 384).second, 24);
  }
}

TEST(VitConvStem, HasTheSizeOfItsStrides) {
  VitOptions o{.image_size = 28, .channels = 1, .stem = VitStem::convolutions};
  EXPECT_EQ(VitImageStem::channels(o), 384);
  EXPECT_EQ(VitImageStem::feature_size(o, 224, 250), (std::pair<std::int64_t, std::int64_t>{14, 16}));
  o.stem_channels = {32, 64};
  o.stem_strides = {1, 2};
  ParameterStore store;
  const VitImageStem stem(store.root(), o);
  EXPECT_EQ(stem(Tensor::zeros({2, 1, 28, 27}), {}).shape(), (Shape{2, 64, 14, 14}));
}

TEST(VitConvStem, UsesTheStatisticsOfTrainingAfterwards) {
  VitOptions o{.channels = 1, .stem = VitStem::convolutions, .stem_channels = {4}, .stem_strides = {1}};
  ParameterStore store;
  const VitImageStem stem(store.root(), o);
  const Tensor images = cast(cosine({4, 1, 6, 6}, 0), DType::f32), first = slice(images, 0, 0, 1);
  const auto before = stem(first, {}).to_vector();
  for (int step = 0; step < 200; ++step) stem(images, {.training = true});
  const auto trained = slice(stem(images, {.training = true}), 0, 0, 1).to_vector(), after = stem(first, {}).to_vector();
  EXPECT_NE(before, after);
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(after[i], trained[i], .02);  // running variance is the unbiased one
}

TEST(Vit, TakesImagesOfOtherSizes) {
  for (const VitHeadInput head : {VitHeadInput::token, VitHeadInput::average}) {
    VitOptions o = kTiny;
    o.head = head;
    o.interpolation = Interpolation::bicubic;
    ParameterStore store(4);
    const Vit model(store.root(), o);
    EXPECT_EQ(model.has_class_token(), head == VitHeadInput::token);
    EXPECT_EQ(model.grid(12, 20), (std::pair<std::int64_t, std::int64_t>{3, 5}));
    const Tensor images = cast(cosine({2, 3, 12, 20}, 0), DType::f32);
    EXPECT_EQ(model.logits(images, {}).shape(), (Shape{2, 3}));
    const std::int64_t tokens = head == VitHeadInput::token ? 16 : 15;
    EXPECT_EQ(model.with_attention(images, {}).probabilities[0].shape(), (Shape{2, 2, tokens, tokens}));
    Tape tape;  // positions learn at other sizes, too
    const Tensor y = model.logits(images, {}), dy = Tensor::full(y.shape(), 1);
    EXPECT_TRUE(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(store.find("positions").value()).defined());
    EXPECT_THROW(model.logits(Tensor::zeros({1, 3, 10, 8}), {}), ShapeError);
    EXPECT_THROW(model.logits(Tensor::zeros({1, 1, 8, 8}), {}), ShapeError);
  }
}

TEST(Vit, WithConstantPositionsDoesNotNoticeTheirInterpolation) {
  const auto logits = [](Interpolation how) {
    VitOptions o = kTiny;
    o.interpolation = how;
    ParameterStore store(4, DType::f64);
    const Vit model(store.root(), o);
    fill_vit_by_formula(store);
    set_values(store.find("positions").value(), std::vector<double>(40, .3));
    return model.logits(cosine({1, 3, 16, 12}, 0), {}).to_vector();
  };
  const std::vector<double> expected = logits(Interpolation::align_corners);
  expect_close(logits(Interpolation::bilinear), expected, 1e-12, "bilinear");
  expect_close(logits(Interpolation::bicubic_antialias), expected, 1e-12, "bicubic_antialias");
}

TEST(Vit, DropsOutByImageNotByBatch) {
  VitOptions o = kTiny;
  o.dropout = .2;
  o.attention_dropout = .2;
  o.stochastic_depth = .3;
  ParameterStore store(4, DType::f64);
  const Vit model(store.root(), o);
  fill_vit_by_formula(store);
  const Tensor images = cosine({4, 3, 8, 8}, 0);
  const auto run = [&](const Tensor& batch, const std::vector<std::int64_t>& names, std::int64_t step = 0) {
    return model.logits(batch, {.training = true, .seed = 3, .step = step, .token_ids = Tensor::from(names, {batch.size(0)})}).to_vector();
  };
  const std::vector<double> together = run(images, {10, 11, 12, 13});
  for (std::int64_t i = 0; i < 4; ++i)
    expect_close(run(slice(images, 0, i, 1).contiguous(), {10 + i}), {together.begin() + 3 * i, together.begin() + 3 * i + 3}, 1e-12,
                 "alone");
  EXPECT_NE(run(images, {10, 11, 12, 13}, 1), together);
  EXPECT_NE(run(images, {20, 21, 22, 23}), together);
  EXPECT_NE(model.logits(images, {}).to_vector(), together);
  EXPECT_THROW(run(images, {1, 2}), ShapeError);
}

TEST(Vit, ComputesInTheTypeOfTheImages) {
  ParameterStore store;
  const Vit model(store.root(), kTiny);
  fill_vit_by_formula(store);
  const Tensor images = cosine({2, 3, 8, 8}, 0);
  const Tensor wide = model.logits(cast(images, DType::f32), {}), narrow = model.logits(cast(images, DType::bf16), {});
  EXPECT_EQ(narrow.dtype(), DType::f32);
  expect_close(narrow.to_vector(), wide.to_vector(), .05, "bf16");
}

TEST(Vit, StartsAsEachImplementationDoes) {
  const auto values = [](VitInitialValues initial, const std::string& name) {
    VitOptions o = kTiny;
    o.hidden_size = 32;
    o.initial_values = initial;
    ParameterStore store(7);
    const Vit model(store.root(), o);
    return store.find(name).value().to_vector();
  };
  const auto largest = [&](VitInitialValues initial, const std::string& name) {
    double most = 0;
    for (const double v : values(initial, name)) most = std::max(most, std::abs(v));
    return most;
  };
  EXPECT_EQ(largest(VitInitialValues::flax, "head/weight"), 0);
  EXPECT_EQ(largest(VitInitialValues::flax, "class_token"), 0);
  EXPECT_GT(largest(VitInitialValues::flax, "positions"), .02);
  EXPECT_EQ(largest(VitInitialValues::torch_port, "positions"), 0);
  EXPECT_NEAR(largest(VitInitialValues::torch_port, "head/weight"), 1 / std::sqrt(32), .03);
  EXPECT_LT(largest(VitInitialValues::flax, "encoder/0/feed_forward/inner/bias"), 1e-5);
  EXPECT_GT(largest(VitInitialValues::flax, "encoder/0/feed_forward/inner/bias"), 0);
  EXPECT_LT(largest(VitInitialValues::timm, "class_token"), 1e-5);
  EXPECT_LE(largest(VitInitialValues::timm, "encoder/1/attention/query/weight"), .04);
  EXPECT_GT(largest(VitInitialValues::timm, "encoder/1/attention/query/weight"), .035);
  EXPECT_GT(largest(VitInitialValues::transformers, "class_token"), .01);
  EXPECT_EQ(largest(VitInitialValues::transformers, "encoder/0/feed_forward/inner/bias"), 0);
}

TEST(Vit, DecaysMatricesOnly) {
  VitOptions o = kTiny;
  o.image_size = 32;
  o.patch_size = 1;
  o.stem = VitStem::resnet;
  o.stem_blocks = {1};
  o.stem_width = 32;
  ParameterStore store;
  const Vit model(store.root(), o);
  for (const Parameter& p : store.parameters()) EXPECT_EQ(p.decay(), p.value().rank() > 1 && p.name() != "positions") << p.name();
}

TEST(Vit, RefusesOptionsThatDoNotFit) {
  const auto message = [](const VitOptions& o) {
    ParameterStore store;
    try {
      const Vit model(store.root(), o);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("taken");
  };
  VitOptions heads = kTiny, patch = kTiny, width = kTiny, strides = kTiny, none = kTiny;
  heads.heads = 3;
  patch.patch_size = 3;
  width.stem = VitStem::resnet;
  width.stem_width = 48;
  strides.stem_strides = {2};
  none.stem_channels = none.stem_strides = {};
  EXPECT_NE(message(strides).find("one number for each convolution, got 4 and 1"), std::string::npos) << message(strides);
  EXPECT_NE(message(none).find("one number for each convolution, got 0 and 0"), std::string::npos) << message(none);
  EXPECT_NE(message(heads).find("hidden_size 8, heads 3"), std::string::npos) << message(heads);
  EXPECT_NE(message(patch).find("size 8, patch_size 3"), std::string::npos) << message(patch);
  EXPECT_NE(message(width).find("stem_width must be a multiple of 32: 48"), std::string::npos) << message(width);
}

}  // namespace
}  // namespace capstan::nn
