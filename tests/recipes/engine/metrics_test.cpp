// Numbers checked by hand; the sources of the rules are in metrics.h.
#include "recipes/engine/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::engine {
namespace {

using testing::ElementsAre;

constexpr double kTolerance = 1e-6;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Metrics, TiesFollowTheStatedRule) {
  const std::vector<float> scores{.5f, .9f, .5f, .1f, .5f};
  const Rank r = rank_of(scores, 2);
  EXPECT_EQ(r.at(Ties::standard), 2);
  EXPECT_EQ(r.at(Ties::conservative), 4);
  EXPECT_EQ(r.at(Ties::median), 3);
  EXPECT_TRUE(r.tied());
  EXPECT_FALSE(rank_of(scores, 1).tied());
}

TEST(Metrics, ConstantScoresDoNotLookPerfect) {
  const std::vector<float> scores(101, 0.25f);
  const Rank r = rank_of(scores, 0);
  EXPECT_EQ(r.at(Ties::median), 51);
  RankMetrics m({10}, Ties::conservative);
  m.add(r);
  EXPECT_EQ(value_of(m.metrics(), "recall@10"), 0);
  EXPECT_EQ(m.tied_share(), 1);
}

TEST(Metrics, NanIsAnErrorWhereverItStands) {
  for (std::size_t place : {0u, 1u, 2u}) {
    std::vector<float> scores{.1f, .2f, .3f};
    scores[place] = kNan;
    EXPECT_THROW(rank_of(scores, 1), NumericalError);
    EXPECT_THROW(top_k(scores, 2), NumericalError);
  }
  EXPECT_THROW(RankMetrics({1}).add(static_cast<double>(kNan)), NumericalError);
  EXPECT_THROW(pair_auc(kNan, 0), NumericalError);
}

TEST(Metrics, RankMetricsMatchHandCheckedNumbers) {
  RankMetrics m({1, 5, 20});
  for (const double rank : {1.0, 3.0, 20.0, 21.0, 7.0, 2.5}) m.add(rank);
  const Metrics all = m.metrics();
  EXPECT_NEAR(value_of(all, "recall@1"), .166667, kTolerance);
  EXPECT_NEAR(value_of(all, "recall@5"), .5, kTolerance);
  EXPECT_NEAR(value_of(all, "recall@20"), .833333, kTolerance) << "rank 20 counts at 20";
  EXPECT_NEAR(value_of(all, "mrr@1"), .166667, kTolerance);
  EXPECT_NEAR(value_of(all, "mrr@5"), .288889, kTolerance);
  EXPECT_NEAR(value_of(all, "mrr@20"), .321032, kTolerance);
  EXPECT_NEAR(value_of(all, "ndcg@1"), .166667, kTolerance);
  EXPECT_NEAR(value_of(all, "ndcg@5"), .342216, kTolerance);
  EXPECT_NEAR(value_of(all, "ndcg@20"), .435716, kTolerance);
  EXPECT_EQ(m.cases(), 6);
}

TEST(Metrics, GainFallsWithTheRank) {
  const std::vector<std::pair<double, double>> by_rank{{1, 1}, {2, .630930}, {3, .5}, {5, .386853}, {10, .289065}};
  for (const auto& [rank, gain] : by_rank) {
    RankMetrics m({10});
    m.add(rank);
    EXPECT_NEAR(value_of(m.metrics(), "ndcg@10"), gain, kTolerance);
  }
}

TEST(Metrics, PartsMergeToTheWhole) {
  Rng rng(random_key(1, "merge"));
  RankMetrics whole({5, 10}), a({5, 10}), b({5, 10});
  ListMetrics lists(2, {3, 2, 1, 1}), c(2, {3, 2, 1, 1}), d(2, {3, 2, 1, 1});
  for (int i = 0; i < 100; ++i) {
    const Rank r{static_cast<std::int64_t>(rng.below(20)), static_cast<std::int64_t>(1 + rng.below(2))};
    whole.add(r);
    (i < 13 ? a : b).add(r);
    const auto first = static_cast<std::int64_t>(rng.below(4));
    const std::vector<std::int64_t> list{first, (first + 1) % 4}, relevant{static_cast<std::int64_t>(rng.below(4))};
    lists.add(list, relevant);
    (i < 57 ? c : d).add(list, relevant);
  }
  a.merge(b);
  c.merge(d);
  for (const Metric& m : whole.metrics()) EXPECT_NEAR(value_of(a.metrics(), m.name), m.value, 1e-12) << m.name;
  for (const Metric& m : lists.metrics()) EXPECT_NEAR(value_of(c.metrics(), m.name), m.value, 1e-12) << m.name;
  EXPECT_EQ(a.tied_share(), whole.tied_share());
  EXPECT_GT(a.tied_share(), 0);
  EXPECT_THROW(a.merge(RankMetrics({5})), InternalError);
}

TEST(Metrics, MetricsKeepTheirOrder) {
  Rng rng(random_key(2, "order"));
  RankMetrics m({1, 2, 4, 8, 16});
  for (int i = 0; i < 50; ++i) m.add(1 + static_cast<double>(rng.below(20)));
  const Metrics all = m.metrics("full/");
  double before = 0;
  for (const char* k : {"1", "2", "4", "8", "16"}) {
    const double recall = value_of(all, std::string("full/recall@") + k);
    EXPECT_GE(recall, before);
    EXPECT_LE(value_of(all, std::string("full/mrr@") + k), recall);
    before = recall;
  }
}

TEST(Metrics, ListMetricsMatchHandCheckedNumbers) {
  // Items 1 .. 10 of the specification are 0 .. 9 here.
  const std::vector<double> popularity{40, 25, 10, 5, 5, 3, 2, 8, 1, 1};
  const std::vector<std::int64_t> list1{2, 0, 3, 4, 1}, list2{1, 6, 0, 7, 5}, truth1{0, 4, 8}, truth2{5};
  const std::vector<std::string> names{"recall", "mrr", "ndcg", "hit", "precision", "map", "coverage", "popularity", "gini", "entropy"};
  const auto check = [&](std::int64_t k, const std::vector<double>& expected) {
    ListMetrics m(k, popularity);
    m.add(list1, truth1);
    m.add(list2, truth2);
    const Metrics all = m.metrics();
    ASSERT_EQ(all.size(), expected.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(all[i].name, names[i] + "@" + std::to_string(k));
      EXPECT_NEAR(all[i].value, expected[i], kTolerance) << all[i].name;
    }
  };
  check(3, {.166667, .25, .148041, .5, .166667, .083333, .5, 20.333333, .566667, 1.560710});
  check(5, {.833333, .35, .442521, 1, .3, .266667, .8, 16.3, .32, 2.025326});
}

TEST(Metrics, BadListsAreRefused) {
  ListMetrics m(2, {1, 1});
  const std::vector<std::int64_t> one{0}, both{0, 1}, outside{0, 2}, none;
  EXPECT_THROW(m.add(one, one), DataError);
  EXPECT_THROW(m.add(outside, one), DataError);
  EXPECT_THROW(m.add(both, none), DataError);
  EXPECT_THROW(m.metrics(), DataError);
  EXPECT_THROW(ListMetrics(0, {1}), DataError);
  EXPECT_THROW(RankMetrics({0}), ConfigError);
  EXPECT_THROW(RankMetrics({5}).metrics(), DataError) << "no case is not a perfect result";
}

TEST(Metrics, TopKIsExactAndStable) {
  const std::vector<float> scores{.5f, .9f, .5f, -std::numeric_limits<float>::infinity(), .7f};
  EXPECT_THAT(top_k(scores, 3), ElementsAre(1, 4, 0));
  EXPECT_THAT(top_k(scores, 10), ElementsAre(1, 4, 0, 2));
  EXPECT_TRUE(top_k(scores, 0).empty());
}

TEST(Metrics, AucCountsPairs) {
  const std::vector<double> scores{.1, .4, .35, .8};
  const std::vector<std::uint8_t> labels{0, 0, 1, 1}, one_kind{1, 1, 1, 1};
  EXPECT_EQ(auc(scores, labels), .75);
  EXPECT_EQ(auc(std::vector<double>(4, 1.0), labels), .5) << "constant scores";
  EXPECT_THROW(auc(scores, one_kind), DataError);
  Mean mean;
  for (const auto& [p, n] : std::vector<std::pair<double, double>>{{.7, -.5}, {-.3, .4}, {1.2, .1}}) mean.add(pair_auc(p, n));
  EXPECT_NEAR(mean.value(), 2.0 / 3.0, 1e-12);
  EXPECT_TRUE(std::isnan(Mean().value()));
}

TEST(Metrics, AMissingMetricNamesTheKnownOnes) {
  try {
    value_of({{"ndcg@10", .5}, {"recall@10", .6}}, "mrr@10");
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_THAT(std::string(e.what()), testing::HasSubstr("ndcg@10, recall@10"));
  }
}

}  // namespace
}  // namespace capstan::engine
