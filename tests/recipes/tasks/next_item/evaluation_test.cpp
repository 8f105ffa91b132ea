#include "recipes/tasks/next_item/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/message_of.h"
#include "tests/recipes/tasks/next_item/fixtures.h"

namespace capstan::next_item {
namespace {

using engine::Split;
using ::testing::HasSubstr;

constexpr std::int32_t kItems = 300;

/// Users walk through the items in order, each from another start.
Dataset walkers(int users = 40) {
  std::vector<std::vector<std::int32_t>> sequences;
  for (int u = 0; u < users; ++u) {
    sequences.emplace_back();
    for (int i = 0; i < 6; ++i) sequences.back().push_back(1 + (7 * u + i) % kItems);
  }
  return Dataset(interactions(sequences, kItems));
}

EvaluateOptions all_metrics() {
  EvaluateOptions o;
  o.k = {1, 10, 60};
  o.metrics = {"hit", "recall", "ndcg", "mrr"};
  return o;
}

Scorer constant(float value) {
  return [=](auto, std::span<float> scores) { std::ranges::fill(scores, value); };
}

TEST(NextItemEvaluation, ConstantScoresRankInTheMiddle) {
  const Dataset d = walkers();
  EvaluateOptions o = all_metrics();
  o.negatives = NegativeRule::distinct;
  const auto m = Protocols(d, o, 1).run(Split::test, constant(0));
  EXPECT_EQ(engine::value_of(m, "sampled100/hit@10"), 0) << "the median rank of 101 equal scores is 51";
  EXPECT_EQ(engine::value_of(m, "sampled100/hit@60"), 1);
  EXPECT_NEAR(engine::value_of(m, "sampled100/mrr@60"), 1.0 / 51, 1e-12);
  EXPECT_EQ(engine::value_of(m, "full_filtered/hit@60"), 0);
  EXPECT_EQ(engine::value_of(m, "full_unfiltered/ndcg@60"), 0);
}

TEST(NextItemEvaluation, NanIsAnError) {
  const Dataset d = walkers();
  EvaluateOptions o;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(Protocols(d, o, 1).run(Split::test, constant(nan)), NumericalError);
  o.filtered = o.unfiltered = false;
  EXPECT_THROW(Protocols(d, o, 1).run(Split::test, constant(nan)), NumericalError);
}

TEST(NextItemEvaluation, FilterRemovesExactlyTheHistory) {
  const Dataset d = walkers();
  // The history scores above everything, two other items above the target, which ranks third when filtered.
  const Scorer scorer = [&](std::span<const Case> cases, std::span<float> scores) {
    std::ranges::fill(scores, 0.f);
    const std::size_t width = kItems + 1;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (const auto item : d.history(cases[i])) scores[i * width + static_cast<std::size_t>(item)] = 9;
      const auto target = d.target(cases[i]);
      scores[i * width + static_cast<std::size_t>(target)] = 5;
      for (const int off : {20, 40}) scores[i * width + static_cast<std::size_t>(1 + (target + off) % kItems)] = 7;
    }
  };
  const auto m = Protocols(d, all_metrics(), 1).run(Split::test, scorer);
  EXPECT_NEAR(engine::value_of(m, "full_filtered/mrr@10"), 1.0 / 3, 1e-12);
  EXPECT_NEAR(engine::value_of(m, "full_filtered/ndcg@10"), 0.5, 1e-12);
  EXPECT_EQ(engine::value_of(m, "full_filtered/hit@1"), 0);
  EXPECT_NEAR(engine::value_of(m, "full_unfiltered/mrr@10"), 1.0 / 8, 1e-12) << "five items of history and two others above it";
  EXPECT_EQ(engine::value_of(m, "full_unfiltered/hit@10"), engine::value_of(m, "full_unfiltered/recall@10"));
}

TEST(NextItemEvaluation, NegativesAreDrawnOncePerUser) {
  const Dataset d = walkers();
  EvaluateOptions o;
  const Protocols a(d, o, 1), b(d, o, 1), other(d, o, 2);
  const Case of{.user = 3, .place = 5}, another{.user = 4, .place = 5}, later{.user = 3, .place = 6, .index = 1};
  EXPECT_EQ(a.negatives(of), b.negatives(of));
  EXPECT_EQ(a.negatives(of), a.negatives({.user = 3, .place = 4})) << "in validation and test";
  EXPECT_NE(a.negatives(of), a.negatives(another));
  EXPECT_NE(a.negatives(of), a.negatives(later));
  EXPECT_NE(a.negatives(of), other.negatives(of));
  o.negatives = NegativeRule::distinct;
  for (const std::int64_t n : {std::int64_t{100}, std::int64_t{kItems - 6}}) {
    o.sampled_negatives = n;
    const auto drawn = Protocols(d, o, 1).negatives(of);
    const std::set<std::int32_t> unique(drawn.begin(), drawn.end());
    EXPECT_EQ(unique.size(), static_cast<std::size_t>(n));
    for (const auto item : d.everything(3)) EXPECT_FALSE(unique.contains(item));
    EXPECT_GE(*unique.begin(), 1);
    EXPECT_LE(*unique.rbegin(), kItems);
  }
  o.sampled_negatives = kItems - 5;
  EXPECT_THROW(Protocols(d, o, 1), DataError);
}

TEST(NextItemEvaluation, NegativesByPopularity) {
  // User 0 has item 1 alone. Of the others item 2 is had by 60, 3 by 20, 4 by 20, and 5 never in training.
  std::vector<std::vector<std::int32_t>> sequences{{1, 1, 1, 1}};
  for (int u = 0; u < 100; ++u) sequences.push_back({u < 60 ? 2 : u < 80 ? 3 : 4, 1, 5});
  const Dataset d(interactions(sequences, 5));
  data::IdMap only;
  only.add("u0");
  EvaluateOptions o;
  o.sampled_negatives = 1;
  o.negatives = NegativeRule::popularity;
  int twos = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) twos += Protocols(d, o, seed, only).negatives({.user = 0, .place = 3}).front() == 2;
  EXPECT_NEAR(twos, 240, 40);
  o.sampled_negatives = 3;
  auto all = Protocols(d, o, 1, only).negatives({.user = 0, .place = 3});
  std::ranges::sort(all);
  EXPECT_EQ(all, (std::vector<std::int32_t>{2, 3, 4}));
  o.sampled_negatives = 4;
  EXPECT_THAT(message_of([&] { Protocols(d, o, 1, only); }),
              HasSubstr("needs 4 items that user 'u0' has not had and that occur in training, there are 3"));
}

TEST(NextItemEvaluation, RareItemsAreDrawnWhenFrequentOnesAreHad) {
  // Nearly all events are of item 1, which the user has: drawing again and again would not end.
  std::vector<std::vector<std::int32_t>> sequences{{1, 1, 1}};
  sequences.emplace_back(200000, 1);
  for (std::int32_t i = 2; i < 40; ++i) sequences.push_back({i, 1});
  const Dataset d(interactions(sequences, 40));
  EvaluateOptions o;
  o.sampled_negatives = 38;
  o.negatives = NegativeRule::popularity;
  const auto drawn = Protocols(d, o, 1).negatives({.user = 0, .place = 2});
  EXPECT_EQ(std::set<std::int32_t>(drawn.begin(), drawn.end()).size(), 38u);
}

TEST(NextItemEvaluation, TellsTheRankOfEachCase) {
  const Dataset d = walkers(2);
  EvaluateOptions o;
  o.sampled_negatives = 0;
  o.output = "ranks.tsv";
  const Protocols protocols(d, o, 1);
  Evaluation evaluation = protocols.start();
  std::vector<float> scores(kItems + 1);
  scores[6] = scores[7] = scores[1] = 1;  // the target of u0, an item of nobody, one of its history
  for (const Case& c : protocols.cases(Split::test)) protocols.add(evaluation, c, scores);
  EXPECT_EQ(protocols.table(evaluation.cases),
            "user\titem\thistory\tfull_filtered\tfull_unfiltered\nu0\t6\t5\t1.5\t2\nu1\t13\t5\t149.5\t152\n");
}

TEST(NextItemEvaluation, BaselinesKnowWhatTheyKnow) {
  // Successors are certain: the chain knows all of them, popularity (all equal but for the ends) nearly nothing.
  const Dataset d = walkers(kItems);
  EvaluateOptions o = all_metrics();
  const double original = engine::value_of(Protocols(d, o, 1).baselines(Split::test), "markov/sampled100/ndcg@10");
  o.negatives = NegativeRule::distinct;
  const auto m = Protocols(d, o, 1).baselines(Split::test);
  EXPECT_GT(engine::value_of(m, "markov/full_unfiltered/hit@1"), 0.95);
  EXPECT_LT(engine::value_of(m, "popularity/full_unfiltered/hit@1"), 0.2);
  EXPECT_GT(engine::value_of(m, "markov/sampled100/ndcg@10"), 0.95);
  EXPECT_LT(original, 0.95) << "100 draws of 300 items: the target ties with itself for a third of the users";
}

TEST(NextItemEvaluation, ReportsTheOptimumOfSyntheticData) {
  engine::Setup setup;
  DataOptions data;
  data.source = Source::synthetic;
  const Dataset d(data, {.sequences = 4000, .items = 100}, setup);
  EvaluateOptions o;
  o.metrics = {"recall"};
  o.negatives = NegativeRule::original;
  o.sampled_negatives = 0;
  const auto m = Protocols(d, o, 1).baselines(Split::test);
  const double optimum = engine::value_of(m, "optimum/full_unfiltered/recall@10"),
               markov = engine::value_of(m, "markov/full_unfiltered/recall@10");
  EXPECT_GT(optimum, 0.9);
  EXPECT_NEAR(markov, optimum, 0.02) << "plenty of data: counting transitions is nearly optimal";
  EXPECT_LT(engine::value_of(m, "popularity/full_unfiltered/recall@10"), 0.5);
}

TEST(NextItemEvaluation, RefusesWhatCannotBeEvaluated) {
  EvaluateOptions o;
  o.metrics = {"hits"};
  EXPECT_THROW(Protocols(walkers(), o, 1), ConfigError);
  EXPECT_THROW(Protocols(Dataset(interactions({{1, 2}}, 400)), {}, 1), DataError) << "no user has a target";
  o = {};
  o.sampled_negatives = 0;
  o.filtered = o.unfiltered = false;
  EXPECT_THROW(Protocols(walkers(), o, 1), ConfigError);
}

TEST(NextItemEvaluation, StatesItsProtocols) {
  const Dataset d = walkers();
  const std::string text = Protocols(d, {}, 5).text(Split::test);
  EXPECT_THAT(
      text, HasSubstr("sampled100: among 100 other items, drawn with replacement from those not in training, once per user (run.seed 5)"));
  EXPECT_THAT(text, HasSubstr("full_filtered: among all 300 items except the user's history"));
}

}  // namespace
}  // namespace capstan::next_item
