#pragma once
// What an evaluation of recommendations shows beside its metrics: some lists with what came next, how much of the catalogue is recommended
// and how popular that is, and where what came next is found: by its popularity and by the length of the history.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::recommendation {

inline constexpr std::int64_t kShownTop = 10;         ///< items of a list
inline constexpr std::int64_t kMeasuredLists = 1000;  ///< made for a finding at most, at equal distances in the split

/// What is recommended to a case, and what came next. Items are numbered from 0.
struct ShownList {
  std::string who;
  std::vector<std::int64_t> history = {};  ///< oldest first
  std::int64_t next = 0;
  double rank = 0;                       ///< of `next`
  std::vector<std::int64_t> items = {};  ///< the best kShownTop, best first; fewer, but one, if there are fewer
};

/// Where what is shown comes from; it outlives the evaluation.
struct ShownSource {
  std::string who;                       ///< "user" or "session"
  std::string among;                     ///< which items are ranked: "all items"
  std::vector<std::int64_t> popularity;  ///< training events of each item; all 0: not known
  std::function<std::string(std::int64_t item)> name;
  bool line_each = false;  ///< names are long: each item of a list has a line of its own
  std::function<std::vector<ShownList>()> lists;
};

class ShownRecommendations {
 public:
  explicit ShownRecommendations(ShownSource from);
  /// A case: what came next after so many items, and where it ranked.
  void add(std::int64_t next, std::int64_t history, double rank);
  std::array<engine::Accumulator*, 2> sums() { return {&by_popularity_, &by_history_}; }
  std::vector<engine::Finding> findings() const;

 private:
  std::string listed(const std::vector<std::string>& names, std::size_t most) const;
  engine::Finding some(const std::vector<ShownList>& lists) const;
  engine::Finding variety(const std::vector<ShownList>& lists) const;
  std::vector<engine::Finding> popularity(const std::vector<ShownList>& lists) const;
  engine::Finding lengths() const;

  ShownSource from_;
  bool popularity_known_ = false;
  std::vector<std::int64_t> place_;  // of each item by popularity, the most popular first
  engine::GroupSums by_popularity_;  // tenths of the items: cases, found among the first kShownTop
  engine::DoublingGroups lengths_ = {};
  engine::GroupSums by_history_;  // the same by the length of the history
};

}  // namespace capstan::recommendation
