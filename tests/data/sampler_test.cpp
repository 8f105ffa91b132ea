#include "data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;

TEST(Shuffled, IsAPermutationThatDependsOnSeedAndEpochOnly) {
  const auto a = shuffled(1000, 5, 3);
  EXPECT_EQ(a, shuffled(1000, 5, 3));
  EXPECT_NE(a, shuffled(1000, 5, 4));
  EXPECT_NE(a, shuffled(1000, 6, 3));
  EXPECT_EQ(std::set<std::int64_t>(a.begin(), a.end()).size(), 1000u);
  EXPECT_EQ(*std::max_element(a.begin(), a.end()), 999);
  EXPECT_TRUE(shuffled(0, 1, 1).empty());
}

/// Pearson's statistic against equal expectation; its mean is about the number of cells.
double chi_square(const std::vector<double>& counts, const std::vector<double>& expected) {
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) sum += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  return sum;
}

TEST(Shuffled, PlacesAreUniform) {
  std::vector<double> counts(8, 0);
  for (std::uint64_t epoch = 0; epoch < 8000; ++epoch) ++counts[static_cast<std::size_t>(shuffled(8, 1, epoch)[2])];
  EXPECT_LT(chi_square(counts, std::vector<double>(8, 1000)), 26.0);  // 7 degrees of freedom, p = 0.0005
}

TEST(Drawn, IsUniformWithReplacement) {
  std::vector<double> counts(8, 0);
  for (std::uint64_t i = 0; i < 8000; ++i) ++counts[static_cast<std::size_t>(drawn(8, 1, 2, i))];
  EXPECT_LT(chi_square(counts, std::vector<double>(8, 1000)), 26.0);
  EXPECT_EQ(drawn(1000000, 1, 2, 3), drawn(1000000, 1, 2, 3));
  EXPECT_NE(drawn(1000000, 1, 2, 3), drawn(1000000, 1, 3, 3));
  EXPECT_THROW(drawn(0, 1, 2, 3), DataError);
}

TEST(DrawExcluding, ReachesEveryOtherItemEqually) {
  const std::vector<std::int32_t> excluded{1, 2, 5, 9, 10};
  std::vector<std::int32_t> out(6000);
  Rng rng(random_key(1, "negatives"));
  draw_excluding(rng, 1, 12, excluded, out);
  std::vector<double> counts(12, 0);
  for (const auto i : out) ++counts[static_cast<std::size_t>(i)];
  for (const auto i : {0, 1, 2, 5, 9, 10}) EXPECT_EQ(counts[static_cast<std::size_t>(i)], 0) << i;
  const std::vector<double> others{counts[3], counts[4], counts[6], counts[7], counts[8], counts[11]};
  EXPECT_LT(chi_square(others, std::vector<double>(6, 1000)), 22.1);  // 5 degrees of freedom, p = 0.0005
}

TEST(DrawExcluding, Edges) {
  Rng rng(1);
  std::vector<std::int32_t> out(50);
  draw_excluding(rng, 0, 3, std::vector<std::int32_t>{0, 2}, out);
  EXPECT_THAT(out, testing::Each(1));
  draw_excluding(rng, 0, 1, {}, out);
  EXPECT_THAT(out, testing::Each(0));
  EXPECT_THROW(draw_excluding(rng, 0, 2, std::vector<std::int32_t>{0, 1}, out), DataError);
}

TEST(DiscreteSampler, SupportToThePowerAlpha) {
  const auto s = DiscreteSampler::by_support(std::vector<std::int64_t>{4, 1, 9, 2}, 0.5);
  const std::vector<double> want{0.269752, 0.404628, 0.809256, 1};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(s.cumulative()[i], want[i], 5e-7);
  std::vector<std::int32_t> got;
  for (const double u : {0.0, 0.25, 0.3, 0.5, 0.81, 0.999}) got.push_back(s.at(u));
  EXPECT_THAT(got, ElementsAre(0, 0, 1, 2, 3, 3));
}

TEST(DiscreteSampler, EqualsTheCountOfCumulativeSharesUpToU) {
  Rng rng(random_key(4, "weights"));
  std::vector<double> weights(777);
  for (auto& w : weights) w = rng.below(4) == 0 ? 0 : std::pow(rng.uniform(), 8);
  weights.back() = 0;
  const DiscreteSampler s(weights);
  const auto counted = [&](double u) {
    return static_cast<std::int32_t>(std::count_if(s.cumulative().begin(), s.cumulative().end(), [&](double c) { return c <= u; }));
  };
  std::vector<double> us{0, std::nextafter(1.0, 0.0)};
  for (int i = 0; i < 2000; ++i) us.push_back(rng.uniform());
  for (const double c : s.cumulative()) {
    if (c < 1) us.insert(us.end(), {c, std::nextafter(c, 0.0)});
  }
  for (std::size_t k = 0; k < 777; ++k) us.push_back(static_cast<double>(k) / 777);
  for (const double u : us) {
    ASSERT_EQ(s.at(u), counted(u)) << u;
    ASSERT_GT(weights[static_cast<std::size_t>(s.at(u))], 0) << u;
  }
}

TEST(DiscreteSampler, FrequenciesFollowTheWeights) {
  std::vector<std::int64_t> support(50);
  std::iota(support.begin(), support.end(), 1);
  for (const double alpha : {0.0, 0.75, 1.0}) {
    const auto s = DiscreteSampler::by_support(support, alpha);
    std::vector<double> counts(50, 0), expected(50);
    Rng rng(random_key(9, "frequencies"));
    for (int i = 0; i < 100000; ++i) ++counts[static_cast<std::size_t>(s(rng))];
    double sum = 0;
    for (std::size_t i = 0; i < 50; ++i) sum += expected[i] = std::pow(static_cast<double>(i + 1), alpha);
    for (auto& e : expected) e *= 100000 / sum;
    EXPECT_LT(chi_square(counts, expected), 88.0) << alpha;  // 49 degrees of freedom, p = 0.0005
  }
}

TEST(DiscreteSampler, Refusals) {
  EXPECT_THROW(DiscreteSampler({}), DataError);
  EXPECT_THROW(DiscreteSampler(std::vector<double>{0, 0}), DataError);
  EXPECT_THROW(DiscreteSampler(std::vector<double>{1, -1}), DataError);
  EXPECT_THROW(DiscreteSampler(std::vector<double>{1, std::nan("")}), DataError);
}

TEST(HoldOut, PartsTheSamplesAlwaysAlike) {
  const HeldOut a = hold_out(100, 30, 1), b = hold_out(100, 30, 1), other = hold_out(100, 30, 2);
  EXPECT_EQ(a.held, b.held);
  EXPECT_NE(a.held, other.held);
  EXPECT_EQ(a.held.size(), 30u);
  std::vector<std::int64_t> all = a.kept;
  all.insert(all.end(), a.held.begin(), a.held.end());
  EXPECT_TRUE(std::ranges::is_sorted(a.kept) && std::ranges::is_sorted(a.held));
  std::ranges::sort(all);
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(hold_out(3, 0, 1).held.empty());
  EXPECT_EQ(hold_out(100, 0.3, 1).held, a.held) << "a share";
  EXPECT_THROW(hold_out(3, 3, 1), ConfigError);
  EXPECT_THROW(hold_out(3, 1.5, 1), ConfigError);
}

}  // namespace
}  // namespace capstan::data
