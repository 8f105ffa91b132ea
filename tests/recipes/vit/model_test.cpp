// The vision transformer: numbers of the well-known code on weights by formula, sizes, resolutions, and what must not depend on the batch.
#include "recipes/vit/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "recipes/vit/rollout.h"
#include "recipes/vit/stem.h"
#include "tests/nn/formulas.h"

namespace capstan::vit {
namespace {

using nn::cosine;
using nn::expect_close;
using nn::set_values;
using nn::sines;

/// Gives parameter `name` the values of number t, and moves on to the next number.
void fill(const nn::ParameterStore& store, const std::string& name, int& t, double offset = 0) {
  const Tensor& value = store.find(name).value();
  set_values(value, sines(t++, 0, static_cast<int>(value.numel()), offset));
}
void fill_linear(const nn::ParameterStore& store, const std::string& name, int& t, double weight_offset = 0) {
  fill(store, name + "/weight", t, weight_offset);
  fill(store, name + "/bias", t);
}

const ModelOptions kTiny{.image_size = 8, .classes = 3, .patch_size = 4, .hidden_size = 8, .layers = 2, .heads = 2, .mlp_size = 16};

void fill_by_formula(const nn::ParameterStore& store) {
  int t = 0;
  fill(store, "positions", t);
  fill(store, "class_token", t);
  fill_linear(store, "patches", t);
  for (const std::string layer : {"encoder/0/", "encoder/1/"}) {
    fill_linear(store, layer + "attention_norm", t, 1);
    fill_linear(store, layer + "feed_forward_norm", t, 1);
    fill_linear(store, layer + "feed_forward/inner", t);
    fill_linear(store, layer + "feed_forward/outer", t);
    for (const char* part : {"query", "key", "value", "output"}) fill_linear(store, layer + "attention/" + part, t);
  }
  fill_linear(store, "encoder/norm", t, 1);
  fill_linear(store, "head", t);
}

std::vector<double> row(const Tensor& probabilities, std::int64_t head) {
  const std::vector<double> all = probabilities.to_vector();
  const std::int64_t n = probabilities.size(3);
  const auto first = all.begin() + head * n * n;
  return {first, first + n};
}

TEST(VitModel, GivesTheNumbersOfTheFormula) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    nn::ParameterStore store(1, dtype);
    const VitModel model(store.root(), kTiny);
    fill_by_formula(store);
    const Tensor images = cast(cosine({1, 3, 8, 8}, 0), dtype);
    const VitModel::WithAttention seen = model.with_attention(images, {});
    expect_close(seen.logits.to_vector(), {-.187931, -.643031, -.80921}, 1e-5, "logits");
    expect_close(model.logits(images, {}).to_vector(), seen.logits.to_vector(), 1e-6, "logits without attention");
    ASSERT_EQ(seen.probabilities.size(), 2u);
    expect_close(row(seen.probabilities[0], 0), {.473254, .168414, .124767, .111333, .122232}, 1e-5, "layer 0, head 0");
    expect_close(row(seen.probabilities[1], 1), {.254705, .215271, .195291, .160129, .174604}, 1e-5, "layer 1, head 1");
    const std::vector<double> rollout = attention_rollout(seen.probabilities).to_vector();
    expect_close({rollout.begin(), rollout.begin() + 5}, {.515217, .141611, .119665, .107955, .115552}, 1e-5, "rollout");
  }
}

TEST(Bottleneck, GivesTheNumbersOfTheFormula) {
  for (const std::int64_t stride : {1, 2}) {
    nn::ParameterStore store(1, DType::f64);
    const Bottleneck block(store.root(), {.in = 32, .inner = 32, .out = 128, .stride = stride, .form = StemForm::torch_port});
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

TEST(VitModel, TinyHasThePublishedSize) {
  const Size& tiny = kSizes[0];
  nn::ParameterStore store;
  const VitModel model(store.root(),
                       {.hidden_size = tiny.hidden_size, .layers = tiny.layers, .heads = tiny.heads, .mlp_size = tiny.mlp_size});
  EXPECT_EQ(store.numel(), 5'717'416);
}

TEST(VitModel, CountsMultiplyAdds) {
  const double usual = forward_multiply_adds({.head = HeadInput::average}, 2);  // base, 224 / 16, 196 tokens
  EXPECT_NEAR(usual, 2 * 17.47e9, .01e9);
  const double skipped = 2 * 196 * (2. * 768 * 768 + 2. * 768 * 3072 + 2 * 197. * 768);
  EXPECT_NEAR(forward_multiply_adds({}, 2), 2 * 17.56e9 - skipped, .02e9);
}

TEST(VitModel, HybridsHaveTheGridOfTheirStride) {
  for (const StemForm form : {StemForm::flax, StemForm::torch_port}) {
    const ModelOptions o{.image_size = 224, .stem = Stem::resnet, .stem_form = form};
    EXPECT_EQ(ResNetStem::channels(o), 1024);
    EXPECT_EQ(ResNetStem::feature_size(o, 224, 224), (std::pair<std::int64_t, std::int64_t>{14, 14}));
    EXPECT_EQ(ResNetStem::feature_size(o, 256, 384).second, 24);
  }
}

TEST(ConvStem, HasTheSizeOfItsStrides) {
  ModelOptions o{.image_size = 28, .channels = 1, .stem = Stem::convolutions};
  EXPECT_EQ(ImageStem::channels(o), 384);
  EXPECT_EQ(ImageStem::feature_size(o, 224, 250), (std::pair<std::int64_t, std::int64_t>{14, 16}));
  o.stem_channels = {32, 64};
  o.stem_strides = {1, 2};
  EXPECT_EQ(ImageStem::multiply_adds(o, 28, 28), 28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64);
  nn::ParameterStore store;
  const ImageStem stem(store.root(), o);
  EXPECT_EQ(stem(Tensor::zeros({2, 1, 28, 27}), {}).shape(), (Shape{2, 64, 14, 14}));
}

TEST(ConvStem, UsesTheStatisticsOfTrainingAfterwards) {
  ModelOptions o{.channels = 1, .stem = Stem::convolutions, .stem_channels = {4}, .stem_strides = {1}};
  nn::ParameterStore store;
  const ImageStem stem(store.root(), o);
  const Tensor images = cast(cosine({4, 1, 6, 6}, 0), DType::f32), first = slice(images, 0, 0, 1);
  const auto before = stem(first, {}).to_vector();
  for (int step = 0; step < 200; ++step) stem(images, {.training = true});
  const auto trained = slice(stem(images, {.training = true}), 0, 0, 1).to_vector(), after = stem(first, {}).to_vector();
  EXPECT_NE(before, after);
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(after[i], trained[i], .02);  // running variance is the unbiased one
}

TEST(VitModel, TakesImagesOfOtherSizes) {
  for (const HeadInput head : {HeadInput::token, HeadInput::average}) {
    ModelOptions o = kTiny;
    o.head = head;
    o.interpolation = Interpolation::bicubic;
    nn::ParameterStore store(4);
    const VitModel model(store.root(), o);
    EXPECT_EQ(model.has_class_token(), head == HeadInput::token);
    EXPECT_EQ(model.grid(12, 20), (std::pair<std::int64_t, std::int64_t>{3, 5}));
    const Tensor images = cast(cosine({2, 3, 12, 20}, 0), DType::f32);
    EXPECT_EQ(model.logits(images, {}).shape(), (Shape{2, 3}));
    const std::int64_t tokens = head == HeadInput::token ? 16 : 15;
    EXPECT_EQ(model.with_attention(images, {}).probabilities[0].shape(), (Shape{2, 2, tokens, tokens}));
    Tape tape;  // positions learn at other sizes, too
    const Tensor y = model.logits(images, {}), dy = Tensor::full(y.shape(), 1);
    EXPECT_TRUE(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(store.find("positions").value()).defined());
    EXPECT_THROW(model.logits(Tensor::zeros({1, 3, 10, 8}), {}), ShapeError);
    EXPECT_THROW(model.logits(Tensor::zeros({1, 1, 8, 8}), {}), ShapeError);
  }
}

TEST(VitModel, WithConstantPositionsDoesNotNoticeTheirInterpolation) {
  const auto logits = [](Interpolation how) {
    ModelOptions o = kTiny;
    o.interpolation = how;
    nn::ParameterStore store(4, DType::f64);
    const VitModel model(store.root(), o);
    fill_by_formula(store);
    set_values(store.find("positions").value(), std::vector<double>(40, .3));
    return model.logits(cosine({1, 3, 16, 12}, 0), {}).to_vector();
  };
  const std::vector<double> expected = logits(Interpolation::align_corners);
  expect_close(logits(Interpolation::bilinear), expected, 1e-12, "bilinear");
  expect_close(logits(Interpolation::bicubic_antialias), expected, 1e-12, "bicubic_antialias");
}

TEST(VitModel, DropsOutByImageNotByBatch) {
  ModelOptions o = kTiny;
  o.dropout = .2;
  o.attention_dropout = .2;
  o.stochastic_depth = .3;
  nn::ParameterStore store(4, DType::f64);
  const VitModel model(store.root(), o);
  fill_by_formula(store);
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

TEST(VitModel, ComputesInTheTypeOfTheImages) {
  nn::ParameterStore store;
  const VitModel model(store.root(), kTiny);
  fill_by_formula(store);
  const Tensor images = cosine({2, 3, 8, 8}, 0);
  const Tensor wide = model.logits(cast(images, DType::f32), {}), narrow = model.logits(cast(images, DType::bf16), {});
  EXPECT_EQ(narrow.dtype(), DType::f32);
  expect_close(narrow.to_vector(), wide.to_vector(), .05, "bf16");
}

TEST(VitModel, StartsAsEachImplementationDoes) {
  const auto values = [](InitialValues initial, const std::string& name) {
    ModelOptions o = kTiny;
    o.hidden_size = 32;
    o.initial_values = initial;
    nn::ParameterStore store(7);
    const VitModel model(store.root(), o);
    return store.find(name).value().to_vector();
  };
  const auto largest = [&](InitialValues initial, const std::string& name) {
    double most = 0;
    for (const double v : values(initial, name)) most = std::max(most, std::abs(v));
    return most;
  };
  EXPECT_EQ(largest(InitialValues::flax, "head/weight"), 0);
  EXPECT_EQ(largest(InitialValues::flax, "class_token"), 0);
  EXPECT_GT(largest(InitialValues::flax, "positions"), .02);
  EXPECT_EQ(largest(InitialValues::torch_port, "positions"), 0);
  EXPECT_NEAR(largest(InitialValues::torch_port, "head/weight"), 1 / std::sqrt(32), .03);
  EXPECT_LT(largest(InitialValues::flax, "encoder/0/feed_forward/inner/bias"), 1e-5);
  EXPECT_GT(largest(InitialValues::flax, "encoder/0/feed_forward/inner/bias"), 0);
  EXPECT_LT(largest(InitialValues::timm, "class_token"), 1e-5);
  EXPECT_LE(largest(InitialValues::timm, "encoder/1/attention/query/weight"), .04);
  EXPECT_GT(largest(InitialValues::timm, "encoder/1/attention/query/weight"), .035);
  EXPECT_GT(largest(InitialValues::transformers, "class_token"), .01);
  EXPECT_EQ(largest(InitialValues::transformers, "encoder/0/feed_forward/inner/bias"), 0);
}

TEST(VitModel, DecaysMatricesOnly) {
  ModelOptions o = kTiny;
  o.image_size = 32;
  o.patch_size = 1;
  o.stem = Stem::resnet;
  o.stem_blocks = {1};
  o.stem_width = 32;
  nn::ParameterStore store;
  const VitModel model(store.root(), o);
  for (const Parameter& p : store.parameters()) EXPECT_EQ(p.decay(), p.value().rank() > 1 && p.name() != "positions") << p.name();
}

TEST(VitModel, RefusesOptionsThatDoNotFit) {
  const auto message = [](const ModelOptions& o) {
    nn::ParameterStore store;
    try {
      const VitModel model(store.root(), o);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("taken");
  };
  ModelOptions heads = kTiny, patch = kTiny, width = kTiny, strides = kTiny, none = kTiny;
  heads.heads = 3;
  patch.patch_size = 3;
  width.stem = Stem::resnet;
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
}  // namespace capstan::vit
