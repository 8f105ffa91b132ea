#pragma once
// Metrics: ranks under a stated rule for ties, and accumulators over cases that merge.
//
// Every accumulator keeps (sum, count) or integer counts, never a mean, so merging the parts of several threads or processes gives
// the metric of all cases. A NaN score is a NumericalError: it would otherwise rank first or last by accident of comparison.
// What a rank is taken among (all items, 100 drawn ones) is the recipe's business and belongs into the metric's name.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

struct Metric {
  std::string name;  ///< "ndcg@10", "full/ndcg@10"
  double value = 0;
};
/// In the order of reporting; names are unique.
using Metrics = std::vector<Metric>;

/// The value of a metric; ConfigError listing the known names if there is none of this name.
double value_of(const Metrics& metrics, std::string_view name);

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

// ---- accumulators ----

/// A mean of cases.
class Mean {
 public:
  void add(double value, double count = 1) { sum_ += value * count, count_ += count; }
  void merge(const Mean& o) { sum_ += o.sum_, count_ += o.count_; }
  double sum() const { return sum_; }
  double count() const { return count_; }
  double value() const;  ///< NaN without cases

 private:
  double sum_ = 0, count_ = 0;
};

/// Metrics of cases with one relevant item each, from its rank r: recall@k = [r <= k], mrr@k = [r <= k] / r, ndcg@k = [r <= k] / log2(r +
/// 1).
class RankMetrics {
 public:
  explicit RankMetrics(const std::vector<std::int64_t>& cutoffs, Ties ties = Ties::median);

  void add(const Rank& rank) { add(rank.at(ties_), rank.tied()); }
  void add(double rank, bool tied = false);
  void merge(const RankMetrics& o);

  std::int64_t cases() const { return cases_; }
  /// Share of cases whose score is not unique; above 1 % the rule for ties decides the result and deserves a warning.
  double tied_share() const;
  /// recall@k, mrr@k, ndcg@k for each cutoff, names after `prefix` ("full/"). Throws DataError without cases.
  Metrics metrics(std::string_view prefix = {}) const;

 private:
  struct AtCutoff {
    std::int64_t k = 0, hits = 0;
    double reciprocal = 0, gain = 0;
  };
  Ties ties_;
  std::vector<AtCutoff> cutoffs_;
  std::int64_t cases_ = 0, tied_ = 0;
};

/// Metrics of recommended lists against sets of relevant items, and of what is recommended to everybody together:
///   recall = hits / |relevant|, precision = hits / k, hit = [hits > 0], mrr = 1 / place of the first hit,
///   ndcg = sum over hits 1 / log2(place + 1), over the same for min(|relevant|, k) hits on top,
///   map = sum over hits (hits so far / place) / min(|relevant|, k), each a mean over the lists;
///   coverage = share of items recommended at all, popularity = mean popularity of a recommended item,
///   gini = sum_i (2i - n - 1) c_(i) / (n sum c) over all n items' recommendation counts in ascending order,
///   entropy = -sum p ln p of the recommendation shares.
class ListMetrics {
 public:
  /// `popularity` of the items 0 .. n - 1, such as training counts. Throws DataError if it is empty or k < 1.
  ListMetrics(std::int64_t k, std::vector<double> popularity);

  /// A list, best first, of which the first k count, and the relevant items (distinct). Throws DataError for an item outside 0 .. n - 1
  /// or a list shorter than k, and if nothing is relevant.
  void add(std::span<const std::int64_t> list, std::span<const std::int64_t> relevant);
  void merge(const ListMetrics& o);
  /// recall@k, mrr@k, ndcg@k, hit@k, precision@k, map@k, coverage@k, popularity@k, gini@k, entropy@k. Throws DataError without lists.
  Metrics metrics(std::string_view prefix = {}) const;

 private:
  std::int64_t k_;
  std::vector<double> popularity_;
  std::vector<std::int64_t> counts_;  // how often an item was recommended
  std::int64_t lists_ = 0;
  double recall_ = 0, mrr_ = 0, ndcg_ = 0, hit_ = 0, precision_ = 0, map_ = 0, popular_ = 0;
};

/// Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties one half. Throws NumericalError for NaN and
/// DataError if one of the two kinds is missing.
double auc(std::span<const double> scores, std::span<const std::uint8_t> positive);
/// The contribution of one pair: 1, 1/2 or 0. Throws NumericalError for NaN.
double pair_auc(double positive, double negative);

}  // namespace capstan::engine
