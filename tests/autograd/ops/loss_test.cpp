#include "autograd/ops/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace capstan {
namespace {

const Tensor kLogits = Tensor::from<float>({2, 1, .1f, -1, 0, .5f, -.5f, 1}, {2, 4});
Tensor i64(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

TEST(CrossEntropy, HandCheckedNumbers) {
  EXPECT_NEAR(cross_entropy(kLogits, i64({0, 3})).value.item(), .618326, 1e-6);
  EXPECT_NEAR(cross_entropy(kLogits, i64({0, 3}), {.label_smoothing = .1}).value.item(), .729576, 1e-6);
  const Loss first = cross_entropy(kLogits, i64({0, -100}), {.label_smoothing = .1, .reduction = Reduction::sum()});
  EXPECT_NEAR(first.value.item(), .596813, 1e-6);
  EXPECT_EQ(first.count, 1);
  EXPECT_NEAR(cross_entropy(kLogits, i64({-100, 3}), {.label_smoothing = .1}).value.item(), .862339, 1e-6);
}

TEST(SoftCrossEntropy, MixupNumbers) {
  const Tensor targets = Tensor::from<float>({.655f, .025f, .025f, .295f, .295f, .025f, .025f, .655f}, {2, 4});
  const Loss loss = soft_cross_entropy(kLogits, targets);
  EXPECT_NEAR(loss.value.item(), 1.269576, 1e-6);
  EXPECT_EQ(loss.count, 2);
}

TEST(CrossEntropy, PartsAddUpToTheWhole) {
  const auto gradient = [](const Tensor& logits, const std::vector<std::int64_t>& targets, Reduction reduction, double& value) {
    const Tensor leaf = make_leaf(logits);
    Tape tape;
    const Loss loss = cross_entropy(leaf, i64(targets), {.reduction = reduction});
    value += loss.value.item();
    return tape.backward(loss.value).of(leaf).dense().to_vector();
  };
  const auto row = [](std::int64_t r) { return kLogits.view(kLogits.layout().slice(0, r, 1)); };
  double whole = 0, parts = 0;
  const std::vector<double> expected = gradient(kLogits, {0, 3}, Reduction::mean(), whole);
  std::vector<double> actual = gradient(row(0), {0}, Reduction::over(2), parts);
  const std::vector<double> second = gradient(row(1), {3}, Reduction::over(2), parts);
  actual.insert(actual.end(), second.begin(), second.end());
  EXPECT_NEAR(parts, whole, 1e-6);
  EXPECT_EQ(actual, expected);
}

TEST(CrossEntropy, CertainAndHopelessScoresStayFinite) {
  const Tensor x = make_leaf(Tensor::from<float>({1e4f, 0, 0, 1e4f}, {2, 2}));
  Tape tape;
  const Loss loss = cross_entropy(x, i64({0, 0}), {.reduction = Reduction::sum()});
  EXPECT_EQ(loss.value.item(), 1e4);
  EXPECT_EQ(tape.backward(loss.value).of(x).dense().to_vector(), (std::vector<double>{0, 0, -1, 1}));
}

TEST(CrossEntropy, RisingScoresOverManyChunksAreSummedOnline) {  // the running maximum grows in every chunk
  constexpr std::int64_t n = 5000;
  Tensor x({1, n});
  for (std::int64_t i = 0; i < n; ++i) x.data<float>()[i] = static_cast<float>(i) * 1e-3f;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x.data<float>()[i]));
  EXPECT_NEAR(cross_entropy(x, i64({n - 1})).value.item(), std::log(sum) - 4.999, 1e-5);
}

TEST(CrossEntropy, NanIsNotHidden) {
  EXPECT_TRUE(
      std::isnan(cross_entropy(Tensor::from<float>({1, std::numeric_limits<float>::quiet_NaN(), 0}, {1, 3}), i64({0})).value.item()));
}

TEST(CrossEntropy, GradientTakesTheLogitsMemoryOnlyIfNobodyElseHoldsIt) {
  const std::vector<double> before = kLogits.to_vector();
  const auto same_storage = [&](bool hold) {
    Tape tape;
    Tensor logits = make_leaf(kLogits.clone());
    const NodeRef node = logits.node();
    const void* const memory = logits.storage().data();
    const Loss loss = cross_entropy(logits, i64({0, 3}));
    if (!hold) logits = {};
    const Tensor d = tape.backward(loss.value).of(Tensor::scalar(0).with_node(node)).dense();
    if (hold) {
      EXPECT_EQ(logits.to_vector(), before);
    }
    return d.storage().data() == memory;
  };
  EXPECT_TRUE(same_storage(false));
  EXPECT_FALSE(same_storage(true));
}

TEST(BceWithLogits, LargeScoresStayFinite) {
  const Loss loss =
      bce_with_logits(Tensor::from<float>({1e4f, -1e4f, 1e4f}, {3}), Tensor::from<float>({1, 0, 0}, {3}), {.reduction = Reduction::sum()});
  EXPECT_EQ(loss.value.item(), 1e4);
  EXPECT_EQ(loss.count, 3);
  EXPECT_NEAR(bce_with_logits(Tensor::scalar(0), Tensor::scalar(1)).value.item(), std::log(2), 1e-7);
}

TEST(BceWithLogits, CountIsTheSumOfWeights) {
  const Tensor x = Tensor::from<float>({0, 5}, {2}), t = Tensor::from<float>({1, 1}, {2});
  const Loss loss = bce_with_logits(x, t, {}, Tensor::from<float>({2, 0}, {2}));
  EXPECT_EQ(loss.count, 2);
  EXPECT_NEAR(loss.value.item(), std::log(2), 1e-7);
}

}  // namespace
}  // namespace capstan
