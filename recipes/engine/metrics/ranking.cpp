#include "recipes/engine/metrics/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

template <class T>
Rank count_ranks(std::span<const T> scores, std::int64_t target) {
  require<InternalError>(target >= 0 && static_cast<std::size_t>(target) < scores.size(), "rank: target ", target, " of ", scores.size(),
                         " scores");
  const T t = scores[static_cast<std::size_t>(target)];
  std::int64_t above = 0, equal = 0, unordered = 0;
  for (const T s : scores) {  // without branches: the compiler vectorises it
    above += s > t ? 1 : 0;
    equal += s == t ? 1 : 0;
    unordered += std::isnan(s) ? 1 : 0;
  }
  require<NumericalError>(unordered == 0, "rank: ", unordered, " of ", scores.size(), " scores are NaN");
  return {above, equal};
}

double discount(double place) { return 1.0 / std::log2(place + 1.0); }

std::string name_at(std::string_view prefix, std::string_view name, std::int64_t k) { return join_text(prefix, name, "@", k); }

}  // namespace

double Rank::at(Ties ties) const {
  switch (ties) {
    case Ties::standard: return static_cast<double>(above + 1);
    case Ties::conservative: return static_cast<double>(above + equal);
    case Ties::median: return static_cast<double>(above + 1) + 0.5 * static_cast<double>(equal - 1);
  }
  throw InternalError("rank: unknown rule for ties");
}

Rank rank_of(std::span<const float> scores, std::int64_t target) { return count_ranks(scores, target); }
Rank rank_of(std::span<const double> scores, std::int64_t target) { return count_ranks(scores, target); }

std::vector<std::int64_t> top_k(std::span<const float> scores, std::int64_t k) {
  const auto better = [&](std::int64_t a, std::int64_t b) {
    const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<std::int64_t> heap;  // the worst kept index on top
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(scores.size()); ++i) {
    const float s = scores[static_cast<std::size_t>(i)];
    require<NumericalError>(!std::isnan(s), "top_k: score ", i, " of ", scores.size(), " is NaN");
    if (s == -std::numeric_limits<float>::infinity() || k <= 0) continue;
    if (static_cast<std::int64_t>(heap.size()) == k) {
      if (!better(i, heap.front())) continue;
      std::pop_heap(heap.begin(), heap.end(), better);
      heap.pop_back();
    }
    heap.push_back(i);
    std::push_heap(heap.begin(), heap.end(), better);
  }
  std::sort_heap(heap.begin(), heap.end(), better);
  return heap;
}

RankMetrics::RankMetrics(RankOptions options) : Accumulator(2 + 3 * options.cutoffs.size()), options_(std::move(options)) {
  for (const std::int64_t k : options_.cutoffs) require<ConfigError>(k >= 1, "metrics: a cutoff must be at least 1, got ", k);
  for (const std::string& name : options_.names)
    require<ConfigError>(name == "hit" || name == "recall" || name == "ndcg" || name == "mrr",
                         "metrics: must be among hit, recall, ndcg, mrr, got '", name, "'");
}

void RankMetrics::add(double rank, bool tied) {
  require<NumericalError>(rank >= 1, "metrics: a rank must be at least 1, got ", rank);
  sums_[0] += 1;
  sums_[1] += tied ? 1 : 0;
  for (std::size_t i = 0; i < options_.cutoffs.size(); ++i) {
    if (rank > static_cast<double>(options_.cutoffs[i])) continue;
    double* const at = sums_.data() + 2 + 3 * i;
    at[0] += 1;
    at[1] += 1.0 / rank;
    at[2] += discount(rank);
  }
}

double RankMetrics::tied_share() const { return sums_[0] == 0 ? 0 : sums_[1] / sums_[0]; }

std::vector<MetricInfo> RankMetrics::metrics() const {
  std::vector<MetricInfo> out;
  for (const std::string& name : options_.names)
    for (const std::int64_t k : options_.cutoffs) out.push_back({name_at(options_.prefix, name, k), Goal::maximize});
  if (options_.counts) {
    out.push_back({options_.prefix + "tied", Goal::none});
    out.push_back({options_.prefix + "cases", Goal::none});
  }
  return out;
}

std::vector<double> RankMetrics::values() const {
  require<DataError>(sums_[0] > 0, "metrics: there is no case to evaluate");
  const auto sum_of = [](std::string_view name) -> std::size_t { return name == "mrr" ? 1 : name == "ndcg" ? 2 : 0; };
  std::vector<double> out;
  for (const std::string& name : options_.names)
    for (std::size_t i = 0; i < options_.cutoffs.size(); ++i) out.push_back(sums_[2 + 3 * i + sum_of(name)] / sums_[0]);
  if (options_.counts) {
    out.push_back(tied_share());
    out.push_back(sums_[0]);
  }
  return out;
}

namespace {

enum ListSum : std::size_t { kLists, kRecall, kMrr, kNdcg, kHit, kPrecision, kMap, kPopularity, kListSums };

}  // namespace

ListMetrics::ListMetrics(std::int64_t k, std::vector<double> popularity, std::string prefix)
    : Accumulator(kListSums + popularity.size()), k_(k), popularity_(std::move(popularity)), prefix_(std::move(prefix)) {
  require<DataError>(k_ >= 1 && !popularity_.empty(), "metrics: needs k >= 1 and at least one item, got ", k_, " and ", popularity_.size());
}

void ListMetrics::add(std::span<const std::int64_t> list, std::span<const std::int64_t> relevant) {
  const auto items = static_cast<std::int64_t>(popularity_.size());
  const auto known = [&](std::int64_t i) { return i >= 0 && i < items; };
  require<DataError>(static_cast<std::int64_t>(list.size()) >= k_, "metrics: a list must hold at least k = ", k_, " items, got ",
                     list.size());
  require<DataError>(!relevant.empty(), "metrics: a list needs at least one relevant item");
  list = list.first(static_cast<std::size_t>(k_));
  for (const auto part : {list, relevant})
    for (const std::int64_t i : part) require<DataError>(known(i), "metrics: item ", i, " is not in 0 .. ", items - 1);

  std::vector<std::int64_t> sorted(relevant.begin(), relevant.end());
  std::sort(sorted.begin(), sorted.end());
  const std::int64_t best = std::min(k_, static_cast<std::int64_t>(sorted.size()));
  double hits = 0, gain = 0, ideal = 0, precision = 0, first = 0, popular = 0;
  for (std::int64_t p = 1; p <= k_; ++p) {
    const std::int64_t item = list[static_cast<std::size_t>(p - 1)];
    const auto place = static_cast<double>(p);
    sums_[kListSums + static_cast<std::size_t>(item)] += 1;
    popular += popularity_[static_cast<std::size_t>(item)];
    if (p <= best) ideal += discount(place);
    if (!std::binary_search(sorted.begin(), sorted.end(), item)) continue;
    ++hits;
    if (hits == 1) first = 1 / place;
    gain += discount(place);
    precision += hits / place;
  }
  sums_[kLists] += 1;
  sums_[kRecall] += hits / static_cast<double>(sorted.size());
  sums_[kMrr] += first;
  sums_[kNdcg] += gain / ideal;
  sums_[kHit] += hits > 0 ? 1 : 0;
  sums_[kPrecision] += hits / static_cast<double>(k_);
  sums_[kMap] += precision / static_cast<double>(best);
  sums_[kPopularity] += popular;
}

std::vector<MetricInfo> ListMetrics::metrics() const {
  std::vector<MetricInfo> out;
  for (const char* name : {"recall", "mrr", "ndcg", "hit", "precision", "map", "coverage", "popularity", "gini", "entropy"}) {
    const std::string_view n = name;
    out.push_back({name_at(prefix_, n, k_), n == "popularity" || n == "gini" ? Goal::minimize : Goal::maximize});
  }
  return out;
}

std::vector<double> ListMetrics::values() const {
  require<DataError>(sums_[kLists] > 0, "metrics: there is no list to evaluate");
  std::vector<double> ascending(sums_.begin() + kListSums, sums_.end());
  std::sort(ascending.begin(), ascending.end());
  const auto n = static_cast<double>(ascending.size());
  const double lists = sums_[kLists], total = lists * static_cast<double>(k_);
  double covered = 0, gini = 0, entropy = 0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const double c = ascending[i];
    if (c == 0) continue;
    covered += 1;
    gini += (2 * static_cast<double>(i + 1) - n - 1) * c;
    entropy -= c / total * std::log(c / total);
  }
  return {sums_[kRecall] / lists, sums_[kMrr] / lists, sums_[kNdcg] / lists,       sums_[kHit] / lists, sums_[kPrecision] / lists,
          sums_[kMap] / lists,    covered / n,         sums_[kPopularity] / total, gini / (n * total),  entropy};
}

double auc(std::span<const double> scores, std::span<const std::uint8_t> positive) {
  require<InternalError>(scores.size() == positive.size(), "auc: ", scores.size(), " scores but ", positive.size(), " labels");
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const double s : scores) require<NumericalError>(!std::isnan(s), "auc: a score is NaN");
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  double below = 0, right = 0, positives = 0;  // negatives below the present score; pairs in the right order
  for (std::size_t i = 0; i < order.size();) {
    double p = 0, n = 0;
    const double score = scores[order[i]];
    for (; i < order.size() && scores[order[i]] == score; ++i) (positive[order[i]] != 0 ? p : n) += 1;
    right += p * (below + n / 2);
    positives += p;
    below += n;
  }
  require<DataError>(positives > 0 && below > 0, "auc: needs both kinds, got ", positives, " positive and ", below, " negative");
  return right / (positives * below);
}

double pair_auc(double positive, double negative) {
  require<NumericalError>(!std::isnan(positive) && !std::isnan(negative), "auc: a score is NaN");
  if (positive == negative) return 0.5;
  return positive > negative ? 1 : 0;
}

}  // namespace capstan::engine
