#include "recipes/tasks/recommendation/baselines.h"
#include "data/at.h"
#include "recipes/engine/system.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace capstan::recommendation {
namespace {

constexpr double kDamping = 20;
constexpr std::size_t kNeighbours = 100;
// Sequences of more distinct items than the first pair an item only with as many on each side as the second: linear in their length.
constexpr std::size_t kPairedWhole = 2500, kPairedBeside = 250;

using data::at;

}  // namespace

std::vector<std::int64_t> supports(const ItemSequences& sequences) {
  std::vector<std::int64_t> counts(at(sequences.items));
  for (std::int64_t s = 0; s < sequences.count; ++s)
    for (const auto item : sequences.get(s)) ++counts[at(item)];
  return counts;
}

std::span<const ScoreTable::Entry> ScoreTable::row(std::int32_t item) const {
  return std::span(entries_).subspan(at(offsets_[at(item)]), at(offsets_[at(item) + 1] - offsets_[at(item)]));
}

engine::Rank ScoreTable::rank(std::int32_t item, std::int32_t target) const {
  const auto listed = row(item);
  const auto items = static_cast<std::int64_t>(offsets_.size()) - 1;
  const auto found = std::ranges::find(listed, target, &Entry::item);
  if (found == listed.end())
    return {.above = static_cast<std::int64_t>(listed.size()), .equal = items - static_cast<std::int64_t>(listed.size())};
  return {.above = std::ranges::count_if(listed, [&](const Entry& e) { return e.score > found->score; }),
          .equal = std::ranges::count_if(listed, [&](const Entry& e) { return e.score == found->score; })};
}

ScoreTable transitions(const ItemSequences& sequences) {
  std::vector<std::uint64_t> pairs;
  for (std::int64_t s = 0; s < sequences.count; ++s) {
    const auto items = sequences.get(s);
    for (std::size_t i = 0; i + 1 < items.size(); ++i)
      pairs.push_back(static_cast<std::uint64_t>(items[i]) << 32 | static_cast<std::uint32_t>(items[i + 1]));
  }
  std::ranges::sort(pairs);
  ScoreTable t(sequences.items);
  for (std::size_t i = 0; i < pairs.size();) {
    std::size_t end = i;
    while (end < pairs.size() && pairs[end] == pairs[i]) ++end;
    t.entries_.push_back({static_cast<std::int32_t>(pairs[i] & 0xffffffffu), static_cast<float>(end - i)});
    ++t.offsets_[(pairs[i] >> 32) + 1];
    i = end;
  }
  std::partial_sum(t.offsets_.begin(), t.offsets_.end(), t.offsets_.begin());
  return t;
}

ScoreTable neighbours(const ItemSequences& all) {
  // The distinct items of each sequence in the order of their first appearance, and where each item stands.
  struct Place {
    std::int32_t sequence, index;
  };
  std::vector<std::vector<std::int32_t>> sequences(at(all.count));
  std::vector<std::vector<Place>> of_item(at(all.items));
  for (std::int64_t s = 0; s < all.count; ++s) {
    auto& distinct = sequences[at(s)];
    for (const auto item : all.get(s)) {
      auto& places = of_item[at(item)];
      if (!places.empty() && places.back().sequence == s) continue;
      places.push_back({static_cast<std::int32_t>(s), static_cast<std::int32_t>(distinct.size())});
      distinct.push_back(item);
    }
  }
  ScoreTable t(all.items);
  std::vector<std::int32_t> together(at(all.items)), touched;
  std::vector<ScoreTable::Entry> row;
  for (std::int64_t item = 0; item < all.items; ++item) {
    engine::throw_if_stopped();
    for (const auto& [s, index] : of_item[at(item)]) {
      std::span<const std::int32_t> others = sequences[at(s)];
      if (others.size() > kPairedWhole) {
        const std::size_t first = std::max(at(index), kPairedBeside) - kPairedBeside;
        others = others.subspan(first, std::min(at(index) + kPairedBeside + 1, others.size()) - first);
      }
      for (const auto other : others)
        if (other != item && together[at(other)]++ == 0) touched.push_back(other);
    }
    const auto support = [&](std::int64_t i) { return static_cast<double>(of_item[at(i)].size()) + kDamping; };
    row.clear();
    for (const auto other : touched) {
      row.push_back({other, static_cast<float>(together[at(other)] / std::sqrt(support(item) * support(other)))});
      together[at(other)] = 0;
    }
    touched.clear();
    std::ranges::sort(row, [](const auto& a, const auto& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
    if (row.size() > kNeighbours) row.resize(kNeighbours);
    t.entries_.insert(t.entries_.end(), row.begin(), row.end());
    t.offsets_[at(item + 1)] = static_cast<std::int64_t>(t.entries_.size());
  }
  return t;
}

}  // namespace capstan::recommendation
