#pragma once
// Metrics of rankings: where a target ranks under a stated rule for ties, lists of recommendations, areas under curves.
//
// What a rank is taken among (all items, 100 drawn ones) is the recipe's business and belongs into the metric's name.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

// ---- ranks ----

/// What scores equal to the target's do to its rank, with a = number of scores above, e = number equal (the target included).
enum class Ties {
  standard,      ///< a + 1: the best of the tied places
  conservative,  ///< a + e: the worst
  median,        ///< a + 1 + (e - 1) / 2: the middle, which may be a half
};

struct Rank {
  std::int64_t above = 0, equal = 1;
  double at(Ties ties) const;
  bool tied() const { return equal > 1; }
};
/// The rank of scores[target] among all scores. Throws NumericalError if a score is NaN.
Rank rank_of(std::span<const float> scores, std::int64_t target);
Rank rank_of(std::span<const double> scores, std::int64_t target);

/// The k best indices, best first, equal scores by index; fewer if there are fewer scores. -infinity marks an index that must not
/// appear. Throws NumericalError if a score is NaN.
std::vector<std::int64_t> top_k(std::span<const float> scores, std::int64_t k);

struct RankOptions {
  std::vector<std::int64_t> cutoffs;
  Ties ties = Ties::median;
  std::vector<std::string> names{"recall", "mrr", "ndcg"};  ///< any of these and hit, which is recall under another name
  std::string prefix = {};                                  ///< of every name: "full/"
  bool counts = false;                                      ///< also "tied", the share of cases whose score is not unique, and "cases"
};

/// Metrics of cases with one relevant item each, from its rank r: recall@k = [r <= k], mrr@k = [r <= k] / r, ndcg@k = [r <= k] / log2(r +
/// 1). Named metric by metric, cutoff by cutoff.
class RankMetrics : public Accumulator {
 public:
  /// Throws ConfigError for a cutoff below 1 and for an unknown name.
  explicit RankMetrics(RankOptions options);

  void add(const Rank& rank) { add(rank.at(options_.ties), rank.tied()); }
  void add(double rank, bool tied = false);

  std::int64_t cases() const { return static_cast<std::int64_t>(sums_[0]); }
  /// Share of cases whose score is not unique; above 1 % the rule for ties decides the result and deserves a warning.
  double tied_share() const;
  std::vector<MetricInfo> metrics() const override;
  std::vector<double> values() const override;  ///< throws DataError without cases

 private:
  // sums_: cases, tied ones, then for each cutoff hits, reciprocals, gains.
  RankOptions options_;
};

/// Metrics of recommended lists against sets of relevant items, and of what is recommended to everybody together:
///   recall = hits / |relevant|, precision = hits / k, hit = [hits > 0], mrr = 1 / place of the first hit,
///   ndcg = sum over hits 1 / log2(place + 1), over the same for min(|relevant|, k) hits on top,
///   map = sum over hits (hits so far / place) / min(|relevant|, k), each a mean over the lists;
///   coverage = share of items recommended at all, popularity = mean popularity of a recommended item,
///   gini = sum_i (2i - n - 1) c_(i) / (n sum c) over all n items' recommendation counts in ascending order,
///   entropy = -sum p ln p of the recommendation shares.
class ListMetrics : public Accumulator {
 public:
  /// `popularity` of the items 0 .. n - 1, such as training counts. Throws DataError if it is empty or k < 1.
  ListMetrics(std::int64_t k, std::vector<double> popularity, std::string prefix = {});

  /// A list, best first, of which the first k count, and the relevant items (distinct). Throws DataError for an item outside 0 .. n - 1
  /// or a list shorter than k, and if nothing is relevant.
  void add(std::span<const std::int64_t> list, std::span<const std::int64_t> relevant);
  /// recall@k, mrr@k, ndcg@k, hit@k, precision@k, map@k, coverage@k, popularity@k, gini@k, entropy@k.
  std::vector<MetricInfo> metrics() const override;
  std::vector<double> values() const override;  ///< throws DataError without lists

 private:
  // sums_: lists, recall, mrr, ndcg, hit, precision, map, popularity, then how often each item was recommended.
  std::int64_t k_;
  std::vector<double> popularity_;
  std::string prefix_;
};

/// Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties one half. Throws NumericalError for NaN and
/// DataError if one of the two kinds is missing.
double auc(std::span<const double> scores, std::span<const std::uint8_t> positive);
/// The contribution of one pair: 1, 1/2 or 0. Throws NumericalError for NaN.
double pair_auc(double positive, double negative);

}  // namespace capstan::engine
