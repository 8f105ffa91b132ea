#include "nn/init.h"

#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "tests/message_of.h"

#include <algorithm>
#include <cmath>

namespace capstan::nn {
namespace {

std::vector<double> filled(const Initializer& init, const Shape& shape, std::uint64_t key = 1, DType dtype = DType::f64) {
  const Tensor t(shape, dtype);
  init(t, key);
  return t.to_vector();
}
struct Moments {
  double mean, deviation, low, high;
};
Moments moments(const std::vector<double>& v) {
  double sum = 0, squares = 0;
  for (const double x : v) sum += x, squares += x * x;
  const double n = static_cast<double>(v.size()), mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean), *std::ranges::min_element(v), *std::ranges::max_element(v)};
}
void expect_uniform_within(const std::vector<double>& v, double bound) {
  const Moments m = moments(v);
  EXPECT_LT(m.high, bound);
  EXPECT_GE(m.low, -bound);
  EXPECT_GT(m.high, .99 * bound);
  EXPECT_LT(m.low, -.99 * bound);
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3), .02 * bound);
}
void expect_normal(const std::vector<double>& v, double deviation) {
  const Moments m = moments(v);
  EXPECT_NEAR(m.mean, 0, .03 * deviation);
  EXPECT_NEAR(m.deviation, deviation, .02 * deviation);
  EXPECT_GT(m.high, 3 * deviation);
}

TEST(Init, HasItsMoments) {
  const Shape shape{100, 200};
  expect_uniform_within(filled(uniform(-.5, .5), shape), .5);
  expect_normal(filled(normal(.02), shape), .02);
  EXPECT_NEAR(moments(filled(normal(1, 7), shape)).mean, 7, .03);
  expect_uniform_within(filled(glorot_uniform(), shape), std::sqrt(6. / 300));
  expect_normal(filled(glorot_normal(), shape), std::sqrt(2. / 300));
  expect_uniform_within(filled(he_uniform(), shape), std::sqrt(6. / 200));
  expect_normal(filled(he_normal(), shape), std::sqrt(2. / 200));
  expect_uniform_within(filled(fan_in_uniform(), shape), std::sqrt(1. / 200));
}

TEST(Init, CountsTheWindowOfAConvolution) {
  expect_uniform_within(filled(glorot_uniform(), {16, 8, 5, 5}), std::sqrt(6. / (25 * 24)));
  expect_uniform_within(filled(glorot_uniform({.in = 3, .out = 5}), {16, 8, 5, 5}), std::sqrt(6. / 8));
}

TEST(Init, TruncatesAtTwoDeviations) {
  const std::vector<double> v = filled(truncated_normal(.02), {100, 301});
  const Moments m = moments(v);
  EXPECT_LE(m.high, .04);
  EXPECT_GE(m.low, -.04);
  EXPECT_GT(m.high, .0395);
  EXPECT_NEAR(m.deviation, .02 * .8796, .0002);  // the deviation of a normal cut at two
}

TEST(Init, DependsOnKeyAndElementAlone) {
  for (const Initializer& init : {uniform(-1, 1), normal(1), truncated_normal(1)}) {
    const std::vector<double> a = filled(init, {7, 3}, 5), longer = filled(init, {40}, 5), other = filled(init, {7, 3}, 6);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), longer.begin()));
    EXPECT_NE(a, other);
    const std::vector<double> single = filled(init, {7, 3}, 5, DType::f32), half = filled(init, {7, 3}, 5, DType::bf16);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(single[i], static_cast<double>(static_cast<float>(a[i])));
      EXPECT_EQ(half[i], static_cast<double>(static_cast<float>(bfloat16(static_cast<float>(a[i])))));
    }
  }
}

TEST(Init, FillsConstantsZeroRowsAndParts) {
  EXPECT_EQ(filled(constant(.25), {3}), (std::vector<double>{.25, .25, .25}));
  EXPECT_EQ(filled(zeros(), {2}), (std::vector<double>{0, 0}));
  EXPECT_EQ(filled(ones(), {}), (std::vector<double>{1}));
  const std::vector<double> v = filled(with_zero_row(uniform(1, 2), 1), {3, 2});
  EXPECT_EQ(std::ranges::count(v, 0.0), 2);
  EXPECT_EQ(v[2], 0);
  EXPECT_EQ(v[3], 0);
  // Three stacked [4, 50] matrices: the bound is that of one, and they differ.
  const std::vector<double> gates = filled(by_parts(glorot_uniform(), 3), {120, 50});
  expect_uniform_within(gates, std::sqrt(6. / 90));
  EXPECT_FALSE(std::equal(gates.begin(), gates.begin() + 2000, gates.begin() + 2000));
  EXPECT_THROW(filled(with_zero_row(zeros(), 3), {3, 2}), ShapeError);
  EXPECT_THROW(filled(by_parts(zeros(), 2), {3, 2}), ShapeError);
}

TEST(ParameterStore, InitialValuesDoNotDependOnWhatElseThereIs) {
  ParameterStore a(9), b(9), c(10);
  (a.root() / "first").parameter("weight", {50}, normal(1));
  const Parameter in_a = (a.root() / "second").parameter("weight", {50}, normal(1));
  const Parameter in_b = (b.root() / "second").parameter("weight", {50}, normal(1));
  const Parameter in_c = (c.root() / "second").parameter("weight", {50}, normal(1));
  EXPECT_EQ(in_a.value().to_vector(), in_b.value().to_vector());
  EXPECT_NE(in_a.value().to_vector(), in_c.value().to_vector());
  EXPECT_NE(in_a.value().to_vector(), a.find("first/weight").value().to_vector());
}

TEST(ParameterStore, DrawsWaitingValuesOfThoseThatNobodyWrote) {
  ParameterStore at_once(7), later(7);
  later.let_values_wait();
  std::vector<std::vector<double>> drawn;
  for (ParameterStore* const store : {&at_once, &later})
    for (const char* name : {"a", "b"}) store->root().parameter(name, {3}, normal(1));
  for (const Parameter& p : at_once.parameters()) drawn.push_back(p.value().to_vector());
  std::ranges::fill(later.find("a").write().span<float>(), 5.0f);
  later.draw_waiting();
  EXPECT_EQ(later.find("a").value().to_vector(), (std::vector<double>{5, 5, 5})) << "was written to";
  EXPECT_EQ(later.find("b").value().to_vector(), drawn[1]) << "as if drawn at once";
  std::ranges::fill(later.find("b").write().span<float>(), 6.0f);
  later.draw_waiting();
  EXPECT_EQ(later.find("b").value().to_vector(), (std::vector<double>{6, 6, 6})) << "once";
}

TEST(ParameterStore, KeepsOrderAndRefusesASecondNameOfItsKind) {
  ParameterStore store;
  (store.root() / "encoder" / 0).parameter("weight", {2, 3}, zeros());
  (store.root() / "encoder" / 1).parameter("weight", {4}, zeros(), {.trainable = false, .decay = false, .sparse_gradient = true});
  ASSERT_EQ(store.parameters().size(), 2u);
  EXPECT_EQ(store.parameters()[0].name(), "encoder/0/weight");
  EXPECT_EQ(store.numel(), 10);
  const Parameter& second = store.find("encoder/1/weight");
  EXPECT_FALSE(second.trainable());
  EXPECT_FALSE(second.decay());
  EXPECT_TRUE(second.sparse_gradient());
  EXPECT_EQ(second.value().node().kind, NodeRef::Kind::constant);
  EXPECT_EQ(store.parameters()[0].value().node().kind, NodeRef::Kind::leaf);
  EXPECT_THROW((store.root() / "encoder" / 0).parameter("weight", {1}, zeros()), ConfigError);
  EXPECT_THROW(store.find("encoder/2/weight"), ConfigError);
}

TEST(ParameterStore, ProposesTheNearestNameForOneThatIsNotThere) {
  ParameterStore store;
  for (const int layer : {0, 1, 2}) (store.root() / "encoder" / layer).parameter("weight", {2}, ones());
  const auto message = [&](const char* name) { return message_of<ConfigError>([&] { store.find(name); }); };
  EXPECT_EQ(message("encoder/2/wieght"),
            "parameters: no parameter of this name: encoder/2/wieght; did you mean 'encoder/2/weight'? (3 parameters)");
  EXPECT_EQ(message("elsewhere/entirely"), "parameters: no parameter of this name: elsewhere/entirely (3 parameters)");
}

TEST(ParameterStore, FreezesBelowAPathForEverybody) {
  ParameterStore store;
  const Parameter first = (store.root() / "encoder" / 1).parameter("weight", {2}, ones());
  const Parameter other = (store.root() / "encoder" / 10).parameter("weight", {2}, ones());
  const auto gradients = [&] {
    Tape tape;
    const Tensor loss = sum(mul(first.value(), other.value()));
    return store.gradients(tape.backward(loss));
  };
  EXPECT_EQ(store.freeze("encoder/1"), 1) << "encoder/10 is another path";
  EXPECT_FALSE(gradients()[0].defined());
  EXPECT_TRUE(gradients()[1].defined());
  EXPECT_EQ(store.unfreeze("encoder"), 2);
  EXPECT_TRUE(gradients()[0].defined());
  EXPECT_EQ(store.scale_learning_rate("encoder", .5), 2);
  EXPECT_EQ(store.scale_learning_rate("encoder/10/weight", .5), 1);
  EXPECT_EQ(first.learning_rate_scale(), .5);
  EXPECT_EQ(other.learning_rate_scale(), .25);
  EXPECT_THROW(store.freeze("decoder"), ConfigError);
  EXPECT_THROW(store.freeze("encoder/1/w"), ConfigError);
}

TEST(ParameterStore, DecaysLearningRatesByDepth) {
  ParameterStore store;
  const Scope root = store.root();
  const Parameter head = root.parameter("head", {2}, ones());
  EXPECT_THROW(store.decay_learning_rate_by_depth(.5), ConfigError) << "no depth is declared";
  const Parameter embedding = root.at_depth(0).parameter("embedding", {2}, ones());
  const Parameter first = (root / "layers" / 0).at_depth(1).parameter("weight", {2}, ones());
  const Parameter second = ((root / "layers" / 1).at_depth(2) / "norm").parameter("weight", {2}, ones());
  store.scale_learning_rate("layers/1", 3);
  store.decay_learning_rate_by_depth(.5);
  EXPECT_EQ(embedding.learning_rate_scale(), .125);
  EXPECT_EQ(first.learning_rate_scale(), .25);
  EXPECT_EQ(second.learning_rate_scale(), 1.5);
  EXPECT_EQ(head.learning_rate_scale(), 1);
}

}  // namespace
}  // namespace capstan::nn
