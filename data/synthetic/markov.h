#pragma once
// A synthetic source of sequences whose best possible recall is known exactly: an order-1 Markov chain over items.
//
// From item i the next item is, with probability 1 - noise, one of `branches` random successors of i (weights fall by the factor
// `decay`), and with probability noise any item by a Zipf popularity (weight 1 / rank). A model that ranks by P(next | last) is
// optimal, so the mean of its top-k probabilities bounds the expected recall@k of every model; popularity alone stays far below.

#include <cstdint>
#include <span>
#include <vector>

#include "data/interactions.h"
#include "data/sampler.h"

namespace capstan::data {

struct MarkovOptions {
  std::int64_t items = 500;
  int branches = 4;    ///< in 1 .. items - 1
  double noise = 0.1;  ///< in [0, 1)
  double decay = 0.6;  ///< in (0, 1]
  std::uint64_t seed = 1;
};

/// Single predictions to make: the item seen last and the one that follows.
struct NextItemCases {
  std::vector<std::int32_t> last, target;
};
/// Every event but the first of every sequence is a target (the GRU4Rec protocol).
NextItemCases all_cases(const Interactions& x);
/// Only the last event of each sequence is (leave-one-out).
NextItemCases last_cases(const Interactions& x);

class MarkovChain {
 public:
  /// Throws ConfigError for options outside their ranges.
  explicit MarkovChain(const MarkovOptions& options);

  /// P(to | from).
  double probability(std::int32_t from, std::int32_t to) const;
  /// The k most probable next items, best first; equal ones in index order.
  std::vector<std::int32_t> best(std::int32_t from, int k) const;

  /// Sequences with lengths uniform in [min_length, max_length]; the first item by popularity. Item index = state of the chain, named
  /// "1", "2", ...; all items have an index, used or not. Sequence s begins at 600 s, an event every 30 seconds.
  Interactions sequences(std::int64_t count, int min_length, int max_length, std::uint64_t seed) const;

  // Expected and actual recall@k over cases given in states of the chain. Nothing can beat the first on average; the second is what
  // the optimal ranking reaches on these very targets, which chance may put a little above or below.
  double best_recall(std::span<const std::int32_t> last, int k) const;
  double oracle_recall(const NextItemCases& cases, int k) const;
  /// Actual recall@k of always recommending the k most popular items by the noise distribution.
  double popularity_recall(const NextItemCases& cases, int k) const;

  /// State of the chain for each index of a data set that was filtered or renumbered after sequences(), by name.
  std::vector<std::int32_t> states(const IdMap& item_ids) const;

 private:
  std::span<const std::int32_t> successors(std::int32_t from) const;

  MarkovOptions options_;
  std::vector<double> branch_weights_;       // [branches], sum 1
  std::vector<std::int32_t> by_popularity_;  // items, most popular first
  std::vector<double> popularity_;           // [items], sum 1
  std::vector<std::int32_t> successors_;     // [items, branches]
  DiscreteSampler branch_, popular_;
};

}  // namespace capstan::data
