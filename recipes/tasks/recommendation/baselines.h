#pragma once
// What simple methods know about the next item, learned by counting over training sequences.
//
//   supports     how often an item occurs: its popularity
//   transitions  how often an item followed another one: a first-order Markov chain
//   neighbours   item-kNN: cosine of the two items' sequences, damped: n_ij / sqrt((n_i + 20) (n_j + 20)); the 100 nearest items.
//                In a sequence of more than 2,500 distinct items an item is together only with the 250 that first appear
//                before it and the 250 after it, so time and memory grow with the length of sequences, not with its square

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "recipes/engine/metrics/ranking.h"

namespace capstan::recommendation {

/// Sequences of items 0 .. items - 1.
struct ItemSequences {
  std::int64_t count = 0, items = 0;
  std::function<std::span<const std::int32_t>(std::int64_t)> get;
};

std::vector<std::int64_t> supports(const ItemSequences& sequences);

/// Sparse scores of items after an item, each row in its own order; items not listed have score 0.
class ScoreTable {
 public:
  struct Entry {
    std::int32_t item;
    float score;
  };
  std::span<const Entry> row(std::int32_t item) const;
  /// The rank of an item after another one among all items.
  engine::Rank rank(std::int32_t item, std::int32_t target) const;

 private:
  friend ScoreTable transitions(const ItemSequences& sequences);
  friend ScoreTable neighbours(const ItemSequences& all);
  explicit ScoreTable(std::int64_t items) : offsets_(static_cast<std::size_t>(items + 1)) {}
  std::vector<std::int64_t> offsets_;
  std::vector<Entry> entries_;
};
ScoreTable transitions(const ItemSequences& sequences);
ScoreTable neighbours(const ItemSequences& all);

}  // namespace capstan::recommendation
