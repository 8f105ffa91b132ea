#include "data/synthetic/markov.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/core/error.h"
#include "data/splits.h"

namespace capstan::data {
namespace {

TEST(Markov, RowsSumToOneAndBestIsTheSortedRow) {
  const MarkovChain chain({.items = 40, .branches = 3, .noise = 0.3});
  for (std::int32_t from = 0; from < 40; ++from) {
    std::vector<std::pair<double, std::int32_t>> row;
    for (std::int32_t to = 0; to < 40; ++to) row.emplace_back(-chain.probability(from, to), to);
    std::sort(row.begin(), row.end());
    double sum = 0;
    for (const auto& [p, i] : row) sum -= p;
    EXPECT_NEAR(sum, 1, 1e-12);
    for (const int k : {1, 3, 10, 40, 100}) {
      const auto best = chain.best(from, k);
      ASSERT_EQ(best.size(), static_cast<std::size_t>(std::min(k, 40)));
      double mass = 0;
      for (std::size_t i = 0; i < best.size(); ++i) {
        EXPECT_EQ(best[i], row[i].second);
        mass -= row[i].first;
      }
      EXPECT_NEAR(chain.best_recall(std::vector<std::int32_t>{from}, k), mass, 1e-12);
    }
  }
}

TEST(Markov, KnownValuesWithoutNoise) {
  const MarkovChain chain({.items = 100, .branches = 2, .noise = 0, .decay = 0.25});  // successor weights 0.8 and 0.2
  const std::vector<std::int32_t> last{1, 2, 3};
  EXPECT_NEAR(chain.best_recall(last, 1), 0.8, 1e-12);
  EXPECT_NEAR(chain.best_recall(last, 2), 1.0, 1e-12);
  const auto cases = all_cases(chain.sequences(2000, 2, 20, 1));
  EXPECT_EQ(chain.oracle_recall(cases, 2), 1.0);
}

TEST(Markov, DataFollowTheChain) {
  const MarkovChain chain({.items = 200, .branches = 4, .noise = 0.2});
  const auto x = chain.sequences(4000, 5, 15, 7);
  EXPECT_EQ(x.sequences(), 4000);
  EXPECT_NEAR(static_cast<double>(x.events()) / 4000, 10, 0.2);
  for (std::int64_t s = 0; s < 4000; ++s) EXPECT_TRUE(x.length(s) >= 5 && x.length(s) <= 15);

  for (const auto& cases : {all_cases(x), last_cases(x)}) {
    const auto n = static_cast<double>(cases.last.size());
    for (const int k : {1, 5, 20}) {
      const double best = chain.best_recall(cases.last, k);
      EXPECT_NEAR(chain.oracle_recall(cases, k), best, 4 * std::sqrt(best * (1 - best) / n)) << k;  // four standard deviations
      EXPECT_LT(chain.popularity_recall(cases, k), 0.35 * best) << k;
    }
  }
}

TEST(Markov, SameSeedSameData) {
  const MarkovChain chain({.items = 50});
  EXPECT_EQ(chain.sequences(20, 3, 9, 1).items, MarkovChain({.items = 50}).sequences(20, 3, 9, 1).items);
  EXPECT_NE(chain.sequences(20, 3, 9, 1).items, chain.sequences(20, 3, 9, 2).items);
  EXPECT_NE(chain.sequences(20, 3, 9, 1).items, MarkovChain({.items = 50, .seed = 2}).sequences(20, 3, 9, 1).items);
}

TEST(Markov, StatesSurviveSplits) {
  const MarkovChain chain({.items = 300});
  const auto x = chain.sequences(500, 3, 9, 1);
  const auto split = split_at(x, last_days(x, 1), SplitBy::session_start);
  EXPECT_GT(split.train.sequences(), 300);
  EXPECT_GT(split.test.sequences(), 100);
  const auto states = chain.states(*split.train.item_ids);
  ASSERT_EQ(static_cast<std::int64_t>(states.size()), split.train.item_count());
  const auto first = split.train.sequence(0);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(states[static_cast<std::size_t>(first[i])], x.sequence(0)[i]);
  IdMap foreign;
  foreign.add("301");
  EXPECT_THROW(chain.states(foreign), DataError);
}

TEST(Markov, Refusals) {
  EXPECT_THROW(MarkovChain({.items = 1}), ConfigError);
  EXPECT_THROW(MarkovChain({.items = 4, .branches = 4}), ConfigError);
  EXPECT_THROW(MarkovChain({.noise = 1}), ConfigError);
  EXPECT_THROW(MarkovChain({.decay = std::nan("")}), ConfigError);
  EXPECT_THROW(MarkovChain(MarkovOptions{}).sequences(1, 3, 2, 1), ConfigError);
}

}  // namespace
}  // namespace capstan::data
