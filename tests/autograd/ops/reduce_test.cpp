// Reductions: known values, ties, NaN, sums that need more than one float.

#include "autograd/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/indexing.h"

namespace capstan {
namespace {

using Values = std::vector<double>;

Values gradient(const Tensor& leaf, const Tensor& y, Tape& tape) {
  const Tensor ones = Tensor::full(y.shape(), 1.0, y.dtype());
  return tape.backward(std::span(&y, 1), std::span(&ones, 1)).of(leaf).dense().to_vector();
}

TEST(Reduce, KnownValues) {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 6, 8}, {2, 3});
  EXPECT_EQ(sum(x).item(), 24);
  EXPECT_EQ(sum(x).shape(), Shape{});
  EXPECT_EQ(sum(x, {0}).to_vector(), (Values{5, 8, 11}));
  EXPECT_EQ(sum(x, {1}, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(mean(x, {-1}).to_vector(), (Values{2, 6}));
  EXPECT_EQ(max(x, {0, 1}, true).shape(), (Shape{1, 1}));
  EXPECT_EQ(max(x, {0}).to_vector(), (Values{4, 6, 8}));
  EXPECT_EQ(min(x).item(), 1);
  EXPECT_EQ(argmax(x).to_vector(), (Values{2, 2}));
  EXPECT_EQ(argmax(x, 0, true).shape(), (Shape{1, 3}));
  const Values v = variance(Tensor::from<double>({1, 2, 3, 4}, {4})).to_vector();
  EXPECT_DOUBLE_EQ(v[0], 1.25);
  EXPECT_DOUBLE_EQ(variance(Tensor::from<double>({1, 2, 3, 4}, {4}), {0}, false, 1).item(), 5.0 / 3);
  EXPECT_TRUE(std::isnan(mean(Tensor::zeros({0, 2}), {0}).to_vector()[0]));
}

TEST(Reduce, TheGradientOfATieGoesToTheFirst) {
  const Tensor x = make_leaf(Tensor::from<float>({1, 7, 7, 7, 2, 7}, {2, 3}));
  for (const auto& [axes, expected] :
       std::vector<std::pair<std::vector<int>, Values>>{{{}, {0, 1, 0, 0, 0, 0}}, {{1}, {0, 1, 0, 1, 0, 0}}, {{0}, {0, 1, 1, 1, 0, 0}}}) {
    Tape tape;
    EXPECT_EQ(gradient(x, max(x, axes), tape), expected);
  }
  Tape tape;
  EXPECT_EQ(gradient(x, min(x, {0}), tape), (Values{1, 0, 1, 0, 1, 0}));
}

TEST(Reduce, ExtremesAgreeWithTheReferenceAlsoOnTiesAndNaN) {
  Rng rng(random_key(1, "extremes"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t inner : {1, 3, 40})
    for (int round = 0; round < 60; ++round) {
      const std::int64_t count = 1 + round;
      Tensor x({2, count, inner}), fast({2, 1, inner}, DType::i64), reference({2, 1, inner}, DType::i64);
      for (float& v : x.span<float>()) v = rng.uniform() < 0.03 ? nan : static_cast<float>(std::floor(rng.uniform(-4, 4)));
      for (const auto which : {kernels::Extreme::largest, kernels::Extreme::smallest}) {
        kernels::arg_extreme(which, 2, count, inner, x.data<const float>(), fast.data<std::int64_t>());
        const kernels::ScopedBackend oracle(kernels::Backend::reference);
        kernels::arg_extreme(which, 2, count, inner, x.data<const float>(), reference.data<std::int64_t>());
        ASSERT_EQ(fast.to_vector(), reference.to_vector()) << "count " << count << ", inner " << inner;
      }
    }
}

TEST(Reduce, NaNIsTheExtreme) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from<float>({1, nan, 3, nan}, {4});
  EXPECT_TRUE(std::isnan(max(x).item()) && std::isnan(min(x).item()) && std::isnan(sum(x).item()));
  EXPECT_EQ(argmax(x).item(), 1);
}

TEST(Reduce, LongSumsStayAccurate) {
  Rng rng(random_key(2, "sums"));
  Tensor x({1000003});
  double expected = 0;
  for (float& v : x.span<float>()) {
    v = static_cast<float>(rng.uniform(0, 1));
    expected += static_cast<double>(v);
  }
  EXPECT_NEAR(sum(x).item(), expected, 0.04);  // half a unit in the last place of the result is 0.03
  EXPECT_NEAR(mean(x).item(), expected / 1000003, 1e-7);
}

TEST(Reduce, VarianceFarFromZero) {
  Tensor x({4096});
  for (std::int64_t i = 0; i < 4096; ++i) x.data<float>()[i] = 10000.0f + static_cast<float>(i % 2);
  EXPECT_NEAR(variance(x).item(), 0.25, 1e-6);  // the mean of squares less the square of the mean would be lost in rounding
}

}  // namespace
}  // namespace capstan
