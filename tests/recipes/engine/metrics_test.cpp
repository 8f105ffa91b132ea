// Numbers checked by hand; the sources of the rules are in metrics/.
#include "recipes/engine/metrics/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "recipes/engine/metrics/classification.h"

namespace capstan::engine {
namespace {

using testing::ElementsAre;

/// The metrics of one accumulator.
Metrics all_of(Accumulator& a) {
  Accumulator* const one = &a;
  return reported(std::span(&one, 1));
}

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
  RankMetrics m({.cutoffs = {10}, .ties = Ties::conservative});
  m.add(r);
  EXPECT_EQ(value_of(all_of(m), "recall@10"), 0);
  EXPECT_EQ(m.tied_share(), 1);
}

TEST(Metrics, NanIsAnErrorWhereverItStands) {
  for (std::size_t place : {0u, 1u, 2u}) {
    std::vector<float> scores{.1f, .2f, .3f};
    scores[place] = kNan;
    EXPECT_THROW(rank_of(scores, 1), NumericalError);
    EXPECT_THROW(top_k(scores, 2), NumericalError);
  }
  EXPECT_THROW(RankMetrics({.cutoffs = {1}}).add(static_cast<double>(kNan)), NumericalError);
  EXPECT_THROW(pair_auc(kNan, 0), NumericalError);
}

TEST(Metrics, RankMetricsMatchHandCheckedNumbers) {
  RankMetrics m({.cutoffs = {1, 5, 20}});
  for (const double rank : {1.0, 3.0, 20.0, 21.0, 7.0, 2.5}) m.add(rank);
  const Metrics all = all_of(m);
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
    RankMetrics m({.cutoffs = {10}});
    m.add(rank);
    EXPECT_NEAR(value_of(all_of(m), "ndcg@10"), gain, kTolerance);
  }
}

TEST(Metrics, PartsMergeToTheWhole) {
  Rng rng(random_key(1, "merge"));
  const RankOptions cutoffs{.cutoffs = {5, 10}};
  RankMetrics whole(cutoffs), a(cutoffs), b(cutoffs);
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
  for (const Metric& m : all_of(whole)) EXPECT_NEAR(value_of(all_of(a), m.name), m.value, 1e-12) << m.name;
  for (const Metric& m : all_of(lists)) EXPECT_NEAR(value_of(all_of(c), m.name), m.value, 1e-12) << m.name;
  EXPECT_EQ(a.tied_share(), whole.tied_share());
  EXPECT_GT(a.tied_share(), 0);
  EXPECT_THROW(a.merge(RankMetrics({.cutoffs = {5}})), InternalError);
}

TEST(Metrics, MetricsKeepTheirOrder) {
  Rng rng(random_key(2, "order"));
  RankMetrics m({.cutoffs = {1, 2, 4, 8, 16}, .prefix = "full/"});
  for (int i = 0; i < 50; ++i) m.add(1 + static_cast<double>(rng.below(20)));
  const Metrics all = all_of(m);
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
    const Metrics all = all_of(m);
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
  EXPECT_THROW(m.values(), DataError);
  EXPECT_THROW(ListMetrics(0, {1}), DataError);
  EXPECT_THROW(RankMetrics({.cutoffs = {0}}), ConfigError);
  EXPECT_THROW(RankMetrics({.cutoffs = {5}}).values(), DataError) << "no case is not a perfect result";
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

TEST(Metrics, AreDeclaredWithTheirDirectionBeforeAnyCase) {
  RankMetrics ranks({.cutoffs = {1, 10}, .names = {"hit", "mrr"}, .prefix = "full/", .counts = true});
  Mean loss("loss", Goal::minimize);
  const std::vector<Accumulator*> both{&loss, &ranks};
  std::string names;
  for (const MetricInfo& m : declared(both)) names += m.name + (m.goal == Goal::minimize ? "- " : m.goal == Goal::maximize ? "+ " : " ");
  EXPECT_EQ(names, "loss- full/hit@1+ full/hit@10+ full/mrr@1+ full/mrr@10+ full/tied full/cases ");
  EXPECT_THROW(RankMetrics({.cutoffs = {1}, .names = {"hits"}}), ConfigError);
}

TEST(Metrics, ConfusionMatrixMatchesHandCheckedNumbers) {
  // Truth 0: 6 right, 2 taken for 1; truth 1: 1 taken for 0, 3 right.
  ConfusionMatrix two({"no", "yes"}, {.f1 = true, .matthews = true, .recalls = true});
  two.add(0, 0, 6), two.add(0, 1, 2), two.add(1, 0, 1), two.add(1, 1, 3);
  const Metrics m = all_of(two);
  EXPECT_NEAR(value_of(m, "accuracy"), .75, kTolerance);
  EXPECT_NEAR(value_of(m, "f1"), 6.0 / 9, kTolerance) << "of class 1: precision 3/5, recall 3/4";
  EXPECT_NEAR(value_of(m, "matthews"), (6 * 3 - 2 * 1) / std::sqrt(5.0 * 4 * 8 * 7), kTolerance);
  EXPECT_NEAR(value_of(m, "recall/yes"), .75, kTolerance);
  ConfusionMatrix three({"a", "b", "c"}, {.f1 = true, .matthews = true});
  three.add(0, 0, 2), three.add(1, 1, 1), three.add(2, 1, 1);
  EXPECT_NEAR(value_of(all_of(three), "f1"), (1 + 2.0 / 3 + 0) / 3, kTolerance) << "the mean over the classes";
  EXPECT_NEAR(value_of(all_of(three), "matthews"), (3 * 4 - (4 + 2)) / std::sqrt((16.0 - 8) * (16 - 6)), kTolerance);
  ConfusionMatrix other({"no", "yes"}, {.f1 = true, .matthews = true, .recalls = true});
  other.add(1, 1, 4);
  other.merge(two);
  EXPECT_EQ(other.count(1, 1), 7);
  EXPECT_EQ(other.total(), 16);
}

TEST(Metrics, PerplexityIsTheExponentialOfTheMeanLoss) {
  CrossEntropy e("masked_lm_loss", "perplexity");
  e.add(1, 3);
  e.add(3, 1);
  EXPECT_NEAR(value_of(all_of(e), "masked_lm_loss"), 1.5, kTolerance);
  EXPECT_NEAR(value_of(all_of(e), "perplexity"), std::exp(1.5), kTolerance);
  EXPECT_NEAR(cross_entropy_of(std::vector<float>{1, 3, 2}, 2), std::log(std::exp(-1) + std::exp(1) + 1), kTolerance);
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
