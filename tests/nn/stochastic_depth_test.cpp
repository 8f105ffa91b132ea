// Stochastic depth: which samples go without a branch.
#include "nn/stochastic_depth.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor i64(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

TEST(StochasticDepth, DropsWholeSamplesAndKeepsTheMean) {
  ParameterStore store;
  const StochasticDepth depth(store.root() / "depth", .25);
  const std::int64_t samples = 4000;
  const Tensor ones = Tensor::full({samples, 2, 3}, 1);
  const std::vector<double> y = depth(ones, {.training = true, .seed = 5}).to_vector();
  std::int64_t kept = 0;
  for (std::int64_t b = 0; b < samples; ++b) {
    const std::set<double> values(y.begin() + 6 * b, y.begin() + 6 * (b + 1));
    ASSERT_EQ(values.size(), 1u);
    kept += *values.begin() != 0;
    if (*values.begin() != 0) {
      ASSERT_FLOAT_EQ(static_cast<float>(*values.begin()), 1.0F / .75F);
    }
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(samples), .75, .03);
  EXPECT_EQ(depth(ones, {}).to_vector(), ones.to_vector());
  EXPECT_NE(depth(ones, {.training = true, .seed = 5, .step = 1}).to_vector(), y);
}

TEST(StochasticDepth, DependsOnTheSampleNotOnItsBatch) {
  ParameterStore store;
  const StochasticDepth depth(store.root() / "depth", .5);
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < 32; ++i) numbers.push_back(100 + 3 * i);  // the first token of each of the samples, of three tokens
  const auto decide = [&](const std::vector<std::int64_t>& samples) {
    std::vector<std::int64_t> tokens;
    for (const std::int64_t s : samples)
      for (std::int64_t t = 0; t < 3; ++t) tokens.push_back(s + t);
    const Tensor x = Tensor::full({static_cast<std::int64_t>(samples.size()), 3, 1}, 1);
    return depth(x, {.training = true, .seed = 1, .token_ids = i64(tokens)}).to_vector();
  };
  const std::vector<double> all = decide(numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(decide({numbers[i]})[0], all[3 * i]);
}

TEST(StochasticDepth, RisesLinearlyToTheLastLayer) {
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(0, 5, .2), 0);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(2, 5, .2), .1);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(4, 5, .2), .2);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(0, 1, .2), .2);
  ParameterStore store;
  EXPECT_THROW(StochasticDepth(store.root(), 1), ConfigError);
}

}  // namespace
}  // namespace capstan::nn
