// The Swin transformer: windows, moved and padded; numbers of the original code on weights by formula; sizes; and what must not depend on
// the batch or on how it is computed. Against other programs: tests/recipes/formats/foreign_models_test.cpp.
#include "nn/models/swin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/arrange_rows.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/models/swin_stage.h"
#include "tests/message_of.h"
#include "tests/nn/gradient_check.h"
#include "tests/nn/models/vit_formula.h"

namespace capstan::nn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rows = std::vector<std::int64_t>;

Tensor i64(const Rows& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

// ---- windows

TEST(ShiftedWindows, NumberTheDistancesOfTheirTokens) {
  EXPECT_THAT(relative_position_index(2).to_vector(), ElementsAre(4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4));
  const std::vector<double> three = relative_position_index(3).to_vector();
  EXPECT_THAT(std::vector<double>(three.begin(), three.begin() + 18),
              ElementsAre(12, 11, 10, 7, 6, 5, 2, 1, 0, 13, 12, 11, 8, 7, 6, 3, 2, 1));
  EXPECT_THAT(std::vector<double>(three.end() - 9, three.end()), ElementsAre(24, 23, 22, 19, 18, 17, 14, 13, 12));
}

TEST(ShiftedWindows, CutAMapMoveItAndKeepItsEdgesApart) {
  const WindowCut still = window_cut(4, 4, 2, false, WindowPadding::refuse), moved = window_cut(4, 4, 2, true, WindowPadding::refuse);
  EXPECT_EQ(still.sources(), (Rows{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}));
  EXPECT_EQ(moved.sources(), (Rows{5, 6, 9, 10, 7, 4, 11, 8, 13, 14, 1, 2, 15, 12, 3, 0}));
  EXPECT_EQ(moved.regions(), (Rows{0, 0, 0, 0, 1, 2, 1, 2, 3, 3, 6, 6, 4, 5, 7, 8}));
  EXPECT_FALSE(still.mask().defined());
  EXPECT_THAT(moved.mask().to_vector(), ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,    //
                                                    1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1,    //
                                                    1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1,    //
                                                    1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1));  //
  EXPECT_FALSE(window_cut(2, 2, 2, true, WindowPadding::refuse).shifted()) << "a map that is one window does not move";
}

TEST(ShiftedWindows, PadAsTheProgramsDo) {
  // 3 x 4 tokens in windows of 2: transformers pad and then move, timm the other way round.
  EXPECT_EQ(window_cut(3, 4, 2, true, WindowPadding::transformers).sources(), (Rows{5, 6, 9, 10, 7, 4, 11, 8, -1, -1, 1, 2, -1, -1, 3, 0}));
  EXPECT_EQ(window_cut(3, 4, 2, true, WindowPadding::timm).sources(), (Rows{5, 6, 9, 10, 7, 4, 11, 8, 1, 2, -1, -1, 3, 0, -1, -1}));
  // 2 x 4: one row of windows. It does not move at all, or along the rows alone.
  EXPECT_FALSE(window_cut(2, 4, 2, true, WindowPadding::transformers).shifted());
  EXPECT_EQ(window_cut(2, 4, 2, true, WindowPadding::timm).sources(), (Rows{1, 2, 5, 6, 3, 0, 7, 4}));
  EXPECT_THAT(message_of<ShapeError>([] { window_cut(3, 4, 2, false, WindowPadding::refuse); }), HasSubstr("window 2, rows 3, columns 4"));
}

// ---- numbers of the original code

/// Tokens row by row in the order of a stage, and back.
Tensor in_order(const Tensor& x, const SwinTokens& tokens) { return arrange_rows(x, i64(tokens.order())); }
std::vector<double> row_by_row(const Tensor& x, const SwinTokens& tokens) {
  Rows places(tokens.order().size());
  for (std::size_t i = 0; i < places.size(); ++i) places[static_cast<std::size_t>(tokens.order()[i])] = static_cast<std::int64_t>(i);
  return arrange_rows(x, i64(places)).to_vector();
}

void fill_block(const ParameterStore& store, const std::string& path, int& t, int width) {
  fill_linear(store, path + "attention_norm", t, 1);
  fill(store, path + "attention/relative_position_bias_table", t);
  fill_packed_attention(store, path + "attention/", t, width);
  t += 4;
  fill_linear(store, path + "feed_forward_norm", t, 1);
  fill_linear(store, path + "feed_forward/inner", t);
  fill_linear(store, path + "feed_forward/outer", t);
}
void fill_merging(const ParameterStore& store, const std::string& path, int& t) {
  fill(store, path + "reduction/weight", t);
  fill_linear(store, path + "norm", t, 1);
}

struct Sums {
  double sum = 0, absolute = 0;
  explicit Sums(const std::vector<double>& values) {
    for (const double v : values) sum += v, absolute += std::abs(v);
  }
};

TEST(SwinBlock, GivesTheNumbersOfTheFormula) {
  ParameterStore store(1, DType::f64);
  const SwinBlock block(store.root(), {.width = 4, .heads = 2, .inner = 8, .pre_norm = true}, 2, true);
  int t = 0;
  fill_block(store, "", t, 4);
  const SwinTokens tokens({4, 4}, 2, WindowPadding::refuse);
  const Tensor x = in_order(cosine({1, 16, 4}, 0), tokens);
  const auto result = [&](bool moved) {
    return row_by_row(block(block.residual().begin(x), tokens.windows(moved), nullptr, {}, {}).input, tokens);
  };
  const auto expect = [](const std::vector<double>& y, const std::vector<double>& first, const std::vector<double>& last, double sum,
                         double absolute) {
    expect_close({y.begin(), y.begin() + 4}, first, 1e-5, "token 0");
    expect_close({y.end() - 4, y.end()}, last, 1e-5, "token 15");
    EXPECT_NEAR(Sums(y).sum, sum, 1e-5);
    EXPECT_NEAR(Sums(y).absolute, absolute, 1e-5);
  };
  expect(result(true), {1.117085, .806977, .396213, -.25024}, {.350991, .463813, .80513, .610478}, -5.464758, 41.90071);
  expect(result(false), {1.155555, .774758, .420164, -.259493}, {.344206, .469261, .798418, .615588}, -5.448352, 41.896762);
}

TEST(SwinBlock, HasTheGradientsOfItsFormula) {
  // 3 x 3 tokens in windows of 2, moved and padded.
  const auto build = [](const Scope& scope) -> LayerFunction {
    return [block = SwinBlock(scope, {.width = 4, .heads = 2, .inner = 6, .pre_norm = true}, 2, true),
            tokens = SwinTokens({3, 3}, 2, WindowPadding::timm)](Inputs in) {
      return block(block.residual().begin(in[0]), tokens.windows(true), nullptr, {}, {}).input;
    };
  };
  EXPECT_EQ(gradient_errors(build, {random_input({2, 9, 4})}), "");
}

TEST(SwinMerging, PutsFourNeighboursSideBySide) {
  const SwinTokens tokens({4, 4}, 2, WindowPadding::refuse), next({2, 2}, 2, WindowPadding::refuse);
  std::vector<double> numbers(16);
  std::iota(numbers.begin(), numbers.end(), 0);
  const Tensor map = in_order(Tensor::from(numbers, {1, 16, 1}), tokens);
  EXPECT_THAT(arrange_rows(map, tokens.neighbours(next)).to_vector(), ElementsAre(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));

  ParameterStore store(1, DType::f64);
  const PatchMerging merging(store.root(), 4, 1e-5);
  int t = 0;
  fill_merging(store, "", t);
  const std::vector<double> y = merging(in_order(cosine({1, 16, 4}, 0), tokens), tokens.neighbours(next)).to_vector();
  expect_close({y.begin(), y.begin() + 8}, {.554344, -.433036, -.730161, .136584, .785615, .182383, -.711566, -.471286}, 1e-5, "token 0");
  EXPECT_NEAR(Sums(y).sum, -1.060094, 1e-5);
}

TEST(SwinMerging, TakesZerosForNeighboursThatAreNotThere) {
  const SwinTokens tokens({3, 3}, 2, WindowPadding::transformers), next({2, 2}, 2, WindowPadding::transformers);
  EXPECT_THAT(tokens.neighbours(next).to_vector(), ElementsAre(0, 3, 1, 4, 2, 5, -1, -1, 6, -1, 7, -1, 8, -1, -1, -1));
}

const SwinOptions kSmall{.image_size = 16,
                         .classes = 3,
                         .patch_size = 4,
                         .hidden_size = 4,
                         .depths = {2, 2},
                         .heads = {2, 2},
                         .window_size = 2,
                         .mlp_ratio = 2,
                         .stochastic_depth = 0};

void fill_by_formula(const ParameterStore& store) {
  int t = 0;
  fill_linear(store, "patches", t);
  fill_linear(store, "patch_norm", t, 1);
  for (int stage = 0; stage < 2; ++stage) {
    const std::string path = "stages/" + std::to_string(stage) + "/";
    for (const std::string block : {"blocks/0/", "blocks/1/"}) fill_block(store, path + block, t, 4 << stage);
    if (stage == 0) fill_merging(store, path + "merging/", t);
  }
  fill_linear(store, "norm", t, 1);
  fill_linear(store, "head", t);
}

TEST(Swin, GivesTheNumbersOfTheFormula) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ParameterStore store(1, dtype);
    const Swin model(store.root(), kSmall);
    EXPECT_EQ(store.numel(), 2023);
    fill_by_formula(store);
    const Tensor images = cast(cosine({1, 3, 16, 16}, 0), dtype);
    expect_close(model.logits(images, {}).to_vector(), {-.00912, .58848, .919686}, 1e-5, "logits");
    const Swin::WithAttention seen = model.with_attention(images, {});
    expect_close(seen.logits.to_vector(), model.logits(images, {}).to_vector(), 1e-6, "logits with attention");
    ASSERT_EQ(seen.probabilities.size(), 2u);
    EXPECT_EQ(seen.probabilities[1].shape(), (Shape{1, 2, 4, 4}));
    expect_close(sum(seen.probabilities[1], {3}).to_vector(), std::vector<double>(8, 1.0), 1e-5, "rows of the last stage");
  }
}

// ---- sizes

TEST(Swin, PublishedSizesHaveTheirParameters) {
  // The count is a polynomial of degree 2 in hidden_size, but for the tables, of which each head has 13 x 13 numbers.
  const auto parameters = [](std::int64_t hidden, std::int64_t third) {
    ParameterStore store;
    const Swin model(store.root(), {.hidden_size = hidden, .depths = {2, 2, third, 2}, .heads = {1, 1, 1, 1}});
    return store.numel();
  };
  const std::int64_t published[] = {28'288'354, 49'606'258, 87'768'224, 196'532'476};
  for (std::size_t i = 0; i < 4; ++i) {
    const SwinSize& size = kSwinSizes[i];
    const auto in_depth = [&](std::int64_t hidden) {
      const std::int64_t one = parameters(hidden, 1);
      return one + (size.third_depth - 1) * (parameters(hidden, 2) - one);
    };
    const std::int64_t a = in_depth(4), b = in_depth(8), c = in_depth(12), x = size.hidden_size / 4;
    const std::int64_t plain = a + (x - 1) * (b - a) + (x - 1) * (x - 2) / 2 * (c - 2 * b + a), h = size.first_heads;
    const std::int64_t heads = 2 * (h - 1) + 2 * (2 * h - 1) + size.third_depth * (4 * h - 1) + 2 * (8 * h - 1);
    EXPECT_EQ(plain + 169 * heads, published[i]) << size.name;
  }
}

TEST(Swin, TakesImagesOfOtherSizes) {
  ParameterStore store(1, DType::f64);
  SwinOptions o = kSmall;
  o.absolute_positions = true;
  o.qkv_bias = false;
  const Swin model(store.root(), o);
  EXPECT_FALSE(std::ranges::any_of(store.parameters(), [](const Parameter& p) { return p.name().ends_with("attention/key/bias"); }));
  fill_by_chirp(store);
  const Tensor cut = cosine({2, 3, 21, 30}, 0);  // patches of 4: as if zeros stood behind
  const Tensor padded = concat({concat({cut, Tensor::zeros({2, 3, 3, 30}, DType::f64)}, 2), Tensor::zeros({2, 3, 24, 2}, DType::f64)}, 3);
  expect_close(model.logits(cut, {}).to_vector(), model.logits(padded, {}).to_vector(), 1e-12, "a patch that is not whole");
  const std::vector<double> both = model.logits(cut, {}).to_vector(), first = model.logits(slice(cut, 0, 0, 1), {}).to_vector();
  expect_close(std::vector<double>(both.begin(), both.begin() + 3), first, 1e-12, "an image alone");
}

TEST(Swin, ComputesInTheTypeOfTheImages) {
  ParameterStore store;
  SwinOptions o = kSmall;
  o.stem = SwinStem::convolutions;
  o.stem_channels = {4, 6};
  o.stem_strides = {1, 2};
  o.patch_size = 2;
  o.absolute_positions = true;
  const Swin model(store.root(), o);
  EXPECT_EQ(smallest_training_batch(o, 2, 2), 2);
  fill_by_chirp(store);
  const Tensor images = cast(cosine({2, 3, 16, 16}, 0), DType::f32), logits = model.logits(cast(images, DType::bf16), {});
  EXPECT_EQ(logits.dtype(), DType::f32);
  expect_close(logits.to_vector(), model.logits(images, {}).to_vector(), .05, "bf16");
}

TEST(Swin, RefusesWhatDoesNotFit) {
  const auto refused = [](const auto& change) {
    SwinOptions o = kSmall;
    o.padding = WindowPadding::refuse;
    change(o);
    return message_of<ConfigError>([&] {
      ParameterStore store;
      const Swin model(store.root(), o);
    });
  };
  EXPECT_THAT(refused([](SwinOptions& o) { o.image_size = 18; }), HasSubstr("model.patch_size must divide model.image_size"));
  EXPECT_THAT(refused([](SwinOptions& o) { o.image_size = 20; }), HasSubstr("stage 0, rows 5, window 2"));
  EXPECT_THAT(refused([](SwinOptions& o) { o.image_size = 12, o.window_size = 3; }), HasSubstr("stage 0 has 3 and 3"));
  EXPECT_THAT(refused([](SwinOptions& o) { o.heads = {2}; }), HasSubstr("heads 1, depths 2"));
  EXPECT_THAT(refused([](SwinOptions& o) { o.heads = {2, 3}; }), HasSubstr("stage 1, width 8, heads 3"));
  ParameterStore store;
  SwinOptions strict = kSmall;
  strict.padding = WindowPadding::refuse;
  const Swin model(store.root(), strict);
  EXPECT_THAT(message_of<ShapeError>([&] { model.logits(Tensor::zeros({1, 3, 16, 20}), {}); }), HasSubstr("window 2, rows 4, columns 5"));
}

// ---- training

/// Gradients of all parameters of a loss of the logits.
std::vector<std::vector<double>> gradients(const SwinOptions& o, const Tensor& images, const Run& run, std::vector<double>* logits) {
  ParameterStore store(1, DType::f32);
  const Swin model(store.root(), o);
  fill_by_chirp(store);
  Tape tape;
  const Tensor y = model.logits(images, run);
  if (logits != nullptr) *logits = y.to_vector();
  const Gradients g = tape.backward(sum(mul(y, y)));
  std::vector<std::vector<double>> out;
  for (const Parameter& p : store.parameters()) out.push_back(dense(g.of(p.value()), DType::f32).to_vector());
  return out;
}

SwinOptions with_dropout() {
  SwinOptions o = kSmall;
  o.absolute_positions = true;
  o.window_size = 3;  // padded
  o.dropout = .2;
  o.attention_dropout = .3;
  o.stochastic_depth = .4;
  return o;
}

TEST(Swin, ComputesTheSameAgainInBackward) {
  const Tensor images = cast(cosine({3, 3, 16, 16}, 0), DType::f32);
  nn::Run run{.training = true, .seed = 3, .token_ids = i64({4, 9, 2})};
  const auto kept = gradients(with_dropout(), images, run, nullptr);
  run.checkpoint_activations = true;
  EXPECT_EQ(gradients(with_dropout(), images, run, nullptr), kept);
}

TEST(Swin, DropsBySampleNotByBatch) {
  const Tensor images = cast(cosine({3, 3, 16, 16}, 0), DType::f32);
  std::vector<double> all, plain;
  gradients(with_dropout(), images, {.training = true, .seed = 3, .token_ids = i64({4, 9, 2})}, &all);
  gradients(with_dropout(), images, {}, &plain);
  EXPECT_NE(all, plain);
  for (std::int64_t b = 0; b < 3; ++b) {
    std::vector<double> one;
    const nn::Run run{.training = true, .seed = 3, .token_ids = i64({Rows{4, 9, 2}[static_cast<std::size_t>(b)]})};
    gradients(with_dropout(), slice(images, 0, b, 1).contiguous(), run, &one);
    expect_close(one, std::vector<double>(all.begin() + 3 * b, all.begin() + 3 * b + 3), 1e-5, "image " + std::to_string(b));
  }
}

TEST(SwinBlock, LeavesOutTheBranchesOfWholeSamples) {
  ParameterStore store(1, DType::f64);
  const SwinBlock block(store.root(), {.width = 4, .heads = 2, .inner = 8, .pre_norm = true, .stochastic_depth = .4}, 2, true);
  fill_by_chirp(store);
  for (const std::string of : {"weight", "bias"}) {  // the second branch is 0
    const Tensor& value = store.find("feed_forward/outer/" + of).value();
    std::fill_n(value.data<double>(), value.numel(), 0);
  }
  const SwinTokens tokens({4, 4}, 2, WindowPadding::refuse);
  const std::int64_t samples = 6;
  const Tensor x = cosine({samples, 16, 4}, 0);
  const auto result = [&](const nn::Run& run) {
    return block(block.residual().begin(x), tokens.windows(true), nullptr, run, run).input.to_vector();
  };
  const std::vector<double> before = x.to_vector(), whole = result({});
  int kept = 0;
  for (std::int64_t step = 0; step < 4; ++step) {
    const std::vector<double> y = result({.training = true, .seed = 2, .step = step});
    for (std::size_t b = 0; b < samples; ++b) {
      const bool keeps = y[b * 64] != before[b * 64];
      kept += keeps;
      for (std::size_t i = b * 64; i < (b + 1) * 64; ++i)
        ASSERT_NEAR(y[i] - before[i], keeps ? (whole[i] - before[i]) / .6 : 0, 1e-12) << step << " " << b;
    }
  }
  EXPECT_GT(kept, 6);
  EXPECT_LT(kept, 22);
}

TEST(Swin, LearnsAtTheDepthsOfItsBlocks) {
  ParameterStore store;
  const Swin model(store.root(), kSmall);
  store.decay_learning_rate_by_depth(.5);
  const auto scale = [&](const std::string& name) { return store.find(name).learning_rate_scale(); };
  EXPECT_EQ(scale("patches/weight"), 1.0 / 32);
  EXPECT_EQ(scale("stages/0/blocks/1/attention/query/weight"), 1.0 / 8);
  EXPECT_EQ(scale("stages/0/merging/reduction/weight"), 1.0 / 8);
  EXPECT_EQ(scale("stages/1/blocks/1/feed_forward/outer/weight"), .5);
  EXPECT_EQ(scale("head/weight"), 1);
}

}  // namespace
}  // namespace capstan::nn
