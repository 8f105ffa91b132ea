// Multi-head attention against PyTorch, against numbers computed by hand, and in its corner cases.
#include "nn/attention.h"

#include <gtest/gtest.h>

#include <limits>

#include "autograd/ops/elementwise.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor flags(std::vector<std::uint8_t> values, const Shape& shape) { return Tensor::from(values, shape); }

TEST(MultiHeadAttention, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const std::string name : {"plain", "boolean_mask", "float_mask", "key_padding", "boolean_mask_key_padding", "no_bias"}) {
      SCOPED_TRACE(name);
      const Golden golden("attention/" + name, dtype);
      AttentionMask mask;
      if (name.find("mask") != std::string::npos) mask.mask = golden.mask("mask");
      if (name.find("key_padding") != std::string::npos) mask.keys = golden.mask("key");
      ParameterStore store(1, dtype);
      const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2, .bias = name != "no_bias"});
      const Tensor &q = golden.input("query"), &k = golden.input("key"), &v = golden.input("value");
      golden.expect(store, tolerance, [&] { return layer(q, k, v, mask, {}); });
      golden.expect(store, tolerance, [&] { return layer.with_weights(q, k, v, mask, {}).output; });
      if (name == "no_bias") continue;
      expect_close(layer.with_weights(q, k, v, mask, {}).weights.to_vector(), golden.values("weights"), tolerance, "mean weights");
      expect_close(layer.with_weights(q, k, v, mask, {}, false).weights.to_vector(), golden.values("weights_per_head"), tolerance,
                   "weights");
    }
  });
}

TEST(MultiHeadAttention, TakesKeysAndValuesOfOtherWidths) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("attention/kdim_vdim", dtype);
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 3, .key_width = 5, .value_width = 4});
    golden.expect(store, tolerance, [&] { return layer(golden.input("query"), golden.input("key"), golden.input("value"), {}, {}); });
  });
}

TEST(MultiHeadAttention, LooksBackOnlyIfCausal) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("attention/causal_self", dtype);
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2});
    const Tensor& x = golden.input("query");
    golden.expect(store, tolerance, [&] { return layer(x, x, x, {.causal = true}, {}); });
    golden.expect(store, tolerance, [&] { return layer.with_weights(x, x, x, {.causal = true}, {}).output; });
  });
}

// Width 4, 2 heads, parameters and inputs by formula.
class Formula : public ::testing::Test {
 protected:
  Formula() : layer_(store_.root(), {.width = 4, .heads = 2}) { fill_packed_attention(store_, "", 0, 4); }
  void expect(const AttentionMask& mask, const std::vector<double>& output, const std::vector<double>& weights) {
    const auto both = layer_.with_weights(q_, k_, v_, mask, {});
    expect_rounded(layer_(q_, k_, v_, mask, {}).to_vector(), output, 6, "output");
    expect_rounded(both.output.to_vector(), output, 6, "output with weights");
    if (!weights.empty()) expect_rounded(both.weights.to_vector(), weights, 6, "weights");
  }
  ParameterStore store_{1, DType::f64};
  MultiHeadAttention layer_;
  Tensor q_ = cosine({1, 2, 4}, 0), k_ = cosine({1, 3, 4}, 1), v_ = cosine({1, 3, 4}, 2);
};

TEST_F(Formula, Plain) {
  expect({}, {.221697, .1269, .216302, -.073285, .218033, .131806, .210721, -.067674},
         {.321996, .337766, .340239, .360537, .282727, .356735});
  expect_rounded(layer_.with_weights(q_, k_, v_, {}, {}, false).weights.to_vector(),
                 {.314716, .348948, .336336, .384306, .269347, .346347, .329275, .326584, .344141, .336768, .296108, .367124}, 6,
                 "per head");
}
TEST_F(Formula, BooleanMask) {
  expect({.mask = flags({1, 0, 1, 1, 1, 0}, {2, 3})}, {.219713, .132611, .207524, -.062455, .229393, .130732, .201385, -.049006},
         {.486179, 0, .513821, .56003, .43997, 0});
}
TEST_F(Formula, FloatMask) {
  expect({.mask = Tensor::from({0.0, -1.0, .5, 0.0, 0.0, 2.0}, {2, 3})},
         {.216166, .130038, .215918, -.0757, .205223, .131291, .224502, -.093128}, {.31965, .123418, .556932, .110138, .086171, .803691});
}
TEST_F(Formula, KeyPadding) {
  expect({.keys = flags({1, 1, 0}, {1, 3})}, {.233306, .124467, .209277, -.057614, .229393, .130732, .201385, -.049006}, {});
}
TEST_F(Formula, MasksOfEveryKindAddUp) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const Tensor minus = Tensor::from({0.0, kNever, 0.0, 0.0, 0.0, kNever}, {2, 3});
  const Tensor no_mask = Tensor::zeros({2, 3}, DType::f64);
  const AttentionMask boolean{.mask = flags({1, 0, 1, 1, 1, 0}, {2, 3}), .keys = flags({1, 1, 0}, {1, 3})};
  const AttentionMask added{.mask = minus, .keys = flags({1, 1, 0}, {1, 3})};
  const AttentionMask single{.mask = flags({1, 0, 0, 1, 1, 0}, {2, 3})};
  const std::vector<double> expected = layer_(q_, k_, v_, single, {}).to_vector();
  expect(boolean, expected, {});
  expect(added, expected, {});
  const AttentionMask causal_zero{.mask = no_mask, .keys = flags({1, 1, 0}, {1, 3}), .causal = true};
  expect(causal_zero, expected, {});
}
TEST_F(Formula, AQueryThatMayAttendToNothingGetsTheOutputBias) {
  const std::vector<double> y = layer_(q_, k_, v_, {.mask = flags({0, 0, 0, 1, 1, 1}, {2, 3})}, {}).to_vector();
  expect_close({y.begin(), y.begin() + 4}, layer_.bias().value().to_vector(), 1e-12, "nothing");
}

TEST(MultiHeadAttention, ReadsKeysAndValuesOfOtherWidthsByFormula) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .key_width = 3, .value_width = 5});
  set_values(store.find("query/weight").value(), sines(0, 0, 16));
  set_values(store.find("key/weight").value(), sines(1, 0, 12));
  set_values(store.find("value/weight").value(), sines(2, 0, 20));
  fill_packed_biases(store, "", 3, 4);
  set_values(store.find("output/weight").value(), sines(4, 0, 16));
  set_values(store.find("output/bias").value(), sines(5, 0, 4));
  expect_rounded(layer(cosine({1, 2, 4}, 0), cosine({1, 3, 3}, 1), cosine({1, 3, 5}, 2), {}, {}).to_vector(),
                 {.251944, .077395, .111396, -.190954, .255238, .074484, .113588, -.192174}, 6, "output");
}

TEST(MultiHeadAttention, DropsProbabilitiesInTrainingOnly) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .dropout = .5});
  const Tensor x = cosine({2, 5, 4}, 0);
  const auto run = [&](const nn::Run& context) { return layer(x, x, x, {}, context).to_vector(); };
  const std::vector<double> first = run({.training = true, .seed = 3, .step = 4});
  EXPECT_EQ(run({.training = true, .seed = 3, .step = 4}), first);
  EXPECT_NE(run({.training = true, .seed = 3, .step = 5}), first);
  EXPECT_NE(run({}), first);
  EXPECT_EQ(run({.step = 5}), run({}));
}

TEST(MultiHeadAttention, RefusesHeadsThatDoNotDivideTheWidth) {
  ParameterStore store;
  EXPECT_THROW(MultiHeadAttention(store.root(), {.width = 6, .heads = 4}), ConfigError);
  EXPECT_THROW(MultiHeadAttention(store.root() / "b", {.width = 6, .heads = 0}), ConfigError);
}

}  // namespace
}  // namespace capstan::nn
