// The basic layers against PyTorch and in their corner cases.
#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/weight.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

TEST(Linear, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const bool bias : {true, false}) {
      const Golden golden(bias ? "linear" : "linear_no_bias", dtype);
      ParameterStore store(1, dtype);
      const Linear layer(store.root(), {.in = 5, .out = 3, .bias = bias});
      golden.expect(store, tolerance, [&] { return layer(golden.input("x")); });
    }
  });
}

TEST(Linear, ComputesInTheTypeOfItsInput) {
  ParameterStore store(1);
  const Linear layer(store.root(), {.in = 4, .out = 3, .bias_init = uniform(-1, 1)});
  const Tensor x = Tensor::from({1.f, -2.f, .5f, 3.f}, {1, 4}), half = cast(x, DType::bf16);
  Tape tape;
  const Tensor y = layer(half);
  EXPECT_EQ(y.dtype(), DType::bf16);
  expect_close(y.to_vector(), layer(x).to_vector(), .05, "bf16");
  const Gradients gradients = tape.backward(std::span(&y, 1), std::span(&y, 1));
  EXPECT_EQ(gradients.of(layer.weight().value()).dense().dtype(), DType::f32);
  EXPECT_EQ(gradients.of(layer.bias().value()).dense().dtype(), DType::f32);
}

// dW[o, i] = sum over the rows of dy[r, o] x[r, i].
std::vector<double> weight_gradient(const Tensor& x, const Tensor& dy) {
  const std::vector<double> a = x.to_vector(), b = dy.to_vector();
  const auto in = static_cast<std::size_t>(x.size(1)), out = static_cast<std::size_t>(dy.size(1));
  std::vector<double> dw(out * in);
  for (std::size_t r = 0; r < a.size() / in; ++r)
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t i = 0; i < in; ++i) dw[o * in + i] += b[r * out + o] * a[r * in + i];
  return dw;
}

Tensor narrow_values(const Shape& shape, std::uint64_t seed) {
  Tensor t(shape);
  uniform(-1, 1)(t, seed);
  return cast(t, DType::bf16);
}

// What flows to an f32 weight is nowhere rounded to bf16, whatever the weight was used beside.
TEST(Linear, AddsTheGradientsOfItsUsesInTheTypeOfItsWeight) {
  ParameterStore store(1);
  const Linear layer(store.root(), {.in = 37, .out = 5});
  const Tensor x[] = {narrow_values({64, 37}, 1), narrow_values({9, 37}, 2)}, dy[] = {narrow_values({64, 5}, 3), narrow_values({9, 5}, 4)};
  const auto gradients = [&](bool first, bool second) {
    Tape tape;
    std::vector<Tensor> outputs, cotangents;
    for (const std::size_t use : {0u, 1u}) {
      if (!(use == 0 ? first : second)) continue;
      outputs.push_back(layer(x[use]));
      cotangents.push_back(dy[use]);
    }
    return store.gradients(tape.backward(outputs, cotangents));
  };
  const auto once = gradients(true, false), other = gradients(false, true), twice = gradients(true, true);
  std::vector<double> expected = weight_gradient(x[0], dy[0]);
  const std::vector<double> more = weight_gradient(x[1], dy[1]);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += more[i];
  EXPECT_EQ(twice[0].dtype(), DType::f32);
  expect_close(twice[0].dense().to_vector(), expected, 2e-6, "weight");
  std::vector<double> of_bias(5);
  for (const Tensor& t : dy) {
    const std::vector<double> values = t.to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) of_bias[i % 5] += values[i];
  }
  expect_close(twice[1].dense().to_vector(), of_bias, 2e-6, "bias");
  std::vector<double> sum = once[0].dense().to_vector();
  const std::vector<double> rest = other[0].dense().to_vector();
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += rest[i];
  expect_close(twice[0].dense().to_vector(), sum, 2e-7, "weight, use by use");
}

TEST(Embedding, SharesItsTableWithTheOutput) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ParameterStore store(1);
    const Embedding items(store.root() / "items", {.rows = 6, .width = 4, .init = uniform(-1, 1)});
    const Tensor ids = Tensor::from<std::int64_t>({5, 0, 5}, {3});
    const Tensor x = cast(narrow_values({3, 4}, 1), dtype), dy = cast(narrow_values({3, 6}, 2), dtype), dz = Tensor::full({3, 4}, .5);
    const auto gradient = [&](bool looked_up, bool as_output) {
      Tape tape;
      std::vector<Tensor> outputs, cotangents;
      if (looked_up) outputs.push_back(items(ids)), cotangents.push_back(dz);
      if (as_output) outputs.push_back(linear(x, weight_for(items.table(), x))), cotangents.push_back(dy);
      const std::vector<Gradient> g = store.gradients(tape.backward(outputs, cotangents));
      EXPECT_EQ(g.size(), 1u);
      EXPECT_EQ(g[0].dtype(), DType::f32);
      return g[0].to_dense().to_vector();
    };
    std::vector<double> expected = weight_gradient(x, dy);
    for (const std::size_t row : {5u, 0u, 5u})
      for (std::size_t j = 0; j < 4; ++j) expected[row * 4 + j] += .5;
    expect_close(gradient(true, true), expected, 1e-6, "tied");
    EXPECT_NE(gradient(true, false), gradient(true, true));
    EXPECT_NE(gradient(false, true), gradient(true, true));
    store.freeze("items/weight");
    Tape tape;
    EXPECT_TRUE(items(ids).is_constant() && linear(x, weight_for(items.table(), x)).is_constant()) << "frozen in both places";
  }
}

TEST(Linear, DecaysItsWeightOnly) {
  ParameterStore store;
  const Linear layer(store.root() / "head", {.in = 4, .out = 3});
  EXPECT_TRUE(store.find("head/weight").decay());
  EXPECT_FALSE(store.find("head/bias").decay());
  EXPECT_EQ(layer.weight().shape(), (Shape{3, 4}));
}

TEST(LayerNorm, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("layer_norm", dtype);
    ParameterStore store(1, dtype);
    const LayerNorm layer(store.root(), {.width = 7, .epsilon = 1e-5});
    golden.expect(store, tolerance, [&] { return layer(golden.input("x")); });
  });
}

TEST(LayerNorm, FollowsPyTorchInItsRmsForm) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("rms_norm", dtype);
    ParameterStore store(1, dtype);
    const LayerNorm layer(store.root(), {.width = 7, .epsilon = 1e-2, .bias = false, .kind = NormKind::rms});
    EXPECT_FALSE(store.find("weight").decay());
    golden.expect(store, tolerance, [&] { return layer(golden.input("x")); });
  });
}

TEST(LayerNorm, PutsEpsilonInsideTheRoot) {
  const Tensor x = Tensor::from({1.0, 2.0, 3.0, 4.0}, {4});
  const auto normalized = [&](double epsilon) {
    ParameterStore store(1, DType::f64);
    return LayerNorm(store.root(), {.width = 4, .epsilon = epsilon})(x).to_vector();
  };
  expect_rounded(normalized(1e-12), {-1.341640786, -.447213595, .447213595, 1.341640786}, 9, "1e-12");
  expect_rounded(normalized(1e-6), {-1.34164025, -.447213417, .447213417, 1.34164025}, 8, "1e-6");
  expect_rounded(normalized(1e-5), {-1.34163542, -.447211807, .447211807, 1.34163542}, 8, "1e-5");
}

TEST(LayerNorm, FusesTheEndOfABlock) {
  ParameterStore store(3, DType::f64);
  const LayerNorm layer(store.root() / "norm", {.width = 6});
  const Dropout dropout(store.root() / "dropout", .5);
  set_values(layer.weight().write(), {1, 2, 3, 4, 5, 6});
  const Tensor bias = Tensor::from({.1, .2, .3, .4, .5, .6}, {6});
  Tensor x({4, 6}, DType::f64), residual({4, 6}, DType::f64);
  normal(1)(x, 1);
  normal(1)(residual, 2);
  for (const bool training : {false, true}) {
    const nn::Run run{.training = training, .seed = 5, .step = 7};
    const Tensor sum = add(residual, dropout(add(x, bias), run));
    const LayerNorm::Sum both = layer.after_residual_with_sum(x, bias, residual, dropout, run);
    expect_close(layer.after_residual(x, bias, residual, dropout, run).to_vector(), layer(sum).to_vector(), 1e-12, "fused");
    expect_close(both.normalized.to_vector(), layer(sum).to_vector(), 1e-12, "with sum");
    expect_close(both.sum.to_vector(), sum.to_vector(), 1e-12, "sum");
  }
}

TEST(Embedding, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const bool sparse : {false, true}) {
      const Golden golden("embedding", dtype);
      ParameterStore store(1, dtype);
      const Embedding layer(store.root(), {.rows = 6, .width = 4, .sparse_gradient = sparse});
      golden.expect(store, tolerance, [&] { return layer(golden.input("ids")); });
      EXPECT_EQ(store.find("weight").sparse_gradient(), sparse);
    }
  });
}

TEST(Embedding, HoldsThePaddingRowAtZero) {
  ParameterStore store(1, DType::f64);
  const Embedding layer(store.root(), {.rows = 3, .width = 2, .padding = 0, .scale = 3});
  const std::vector<double> table = layer.table().value().to_vector();
  EXPECT_EQ(table[0], 0);
  EXPECT_EQ(table[1], 0);
  Tape tape;
  const Tensor y = layer(Tensor::from({std::int64_t{0}, std::int64_t{2}}, {2}));
  EXPECT_EQ(y.to_vector(), (std::vector<double>{0, 0, 3 * table[4], 3 * table[5]}));
  const Tensor ones = Tensor::full({2, 2}, 1, DType::f64);
  const Gradients gradients = tape.backward(std::span(&y, 1), std::span(&ones, 1));
  EXPECT_EQ(dense(gradients.of(layer.table().value()), DType::f64).to_vector(), (std::vector<double>{0, 0, 0, 0, 3, 3}));
  EXPECT_THROW(Embedding(store.root() / "other", {.rows = 3, .width = 2, .padding = 3}), ConfigError);
}

TEST(Dropout, DependsOnSeedStepAndPlaceAlone) {
  ParameterStore store;
  const Dropout here(store.root() / "here", .5), there(store.root() / "there", .5);
  const Tensor x = Tensor::full({8, 16}, 1);
  const auto mask = [&](const Dropout& dropout, const nn::Run& run) { return dropout(x, run).to_vector(); };
  const std::vector<double> first = mask(here, {.training = true, .seed = 1, .step = 2});
  EXPECT_EQ(mask(here, {.training = true, .seed = 1, .step = 2}), first);
  EXPECT_NE(mask(there, {.training = true, .seed = 1, .step = 2}), first);
  EXPECT_NE(mask(here, {.training = true, .seed = 2, .step = 2}), first);
  EXPECT_NE(mask(here, {.training = true, .seed = 1, .step = 3}), first);
  EXPECT_EQ(mask(here, {.training = false, .seed = 1, .step = 2}), x.to_vector());
  EXPECT_EQ(mask(Dropout(store.root(), 0), {.training = true}), x.to_vector());
  EXPECT_THROW(Dropout(store.root(), 1), ConfigError);
}

TEST(Dropout, FollowsTheNumberOfARowNotItsPlaceInTheBatch) {
  ParameterStore store;
  const Dropout dropout(store.root() / "here", .3);
  const auto masked = [&](const std::vector<std::int64_t>& ids) {
    const auto n = static_cast<std::int64_t>(ids.size());
    return dropout(Tensor::full({n, 5, 7}, 1), {.training = true, .token_ids = Tensor::from(ids, {n})}).to_vector();
  };
  const std::vector<double> both = masked({40, 41}), swapped = masked({41, 40}), single = masked({41});
  EXPECT_TRUE(std::equal(single.begin(), single.end(), both.begin() + 35));
  EXPECT_TRUE(std::equal(single.begin(), single.end(), swapped.begin()));
  EXPECT_FALSE(std::equal(single.begin(), single.end(), both.begin()));
}

}  // namespace
}  // namespace capstan::nn
