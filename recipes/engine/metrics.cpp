#include "recipes/engine/metrics.h"

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

double value_of(const Metrics& metrics, std::string_view name) {
  std::string known;
  for (const Metric& m : metrics) {
    if (m.name == name) return m.value;
    known += (known.empty() ? "" : ", ") + m.name;
  }
  throw ConfigError(join_text("metrics: there is no '", name, "', known are ", known));
}

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

double Mean::value() const { return count_ == 0 ? std::numeric_limits<double>::quiet_NaN() : sum_ / count_; }

RankMetrics::RankMetrics(const std::vector<std::int64_t>& cutoffs, Ties ties) : ties_(ties) {
  for (const std::int64_t k : cutoffs) {
    require<ConfigError>(k >= 1, "metrics: a cutoff must be at least 1, got ", k);
    cutoffs_.push_back({.k = k});
  }
}

void RankMetrics::add(double rank, bool tied) {
  require<NumericalError>(rank >= 1, "metrics: a rank must be at least 1, got ", rank);
  ++cases_;
  tied_ += tied ? 1 : 0;
  for (AtCutoff& c : cutoffs_) {
    if (rank > static_cast<double>(c.k)) continue;
    ++c.hits;
    c.reciprocal += 1.0 / rank;
    c.gain += discount(rank);
  }
}

void RankMetrics::merge(const RankMetrics& o) {
  const bool same = std::equal(cutoffs_.begin(), cutoffs_.end(), o.cutoffs_.begin(), o.cutoffs_.end(),
                               [](const AtCutoff& a, const AtCutoff& b) { return a.k == b.k; });
  require<InternalError>(same && ties_ == o.ties_, "metrics: only parts with the same cutoffs and rule for ties merge");
  cases_ += o.cases_;
  tied_ += o.tied_;
  for (std::size_t i = 0; i < cutoffs_.size(); ++i) {
    cutoffs_[i].hits += o.cutoffs_[i].hits;
    cutoffs_[i].reciprocal += o.cutoffs_[i].reciprocal;
    cutoffs_[i].gain += o.cutoffs_[i].gain;
  }
}

double RankMetrics::tied_share() const { return cases_ == 0 ? 0 : static_cast<double>(tied_) / static_cast<double>(cases_); }

Metrics RankMetrics::metrics(std::string_view prefix) const {
  require<DataError>(cases_ > 0, "metrics: there is no case to evaluate");
  const auto n = static_cast<double>(cases_);
  Metrics out;
  for (const AtCutoff& c : cutoffs_) {
    out.push_back({name_at(prefix, "recall", c.k), static_cast<double>(c.hits) / n});
    out.push_back({name_at(prefix, "mrr", c.k), c.reciprocal / n});
    out.push_back({name_at(prefix, "ndcg", c.k), c.gain / n});
  }
  return out;
}

ListMetrics::ListMetrics(std::int64_t k, std::vector<double> popularity)
    : k_(k), popularity_(std::move(popularity)), counts_(popularity_.size()) {
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
    ++counts_[static_cast<std::size_t>(item)];
    popular += popularity_[static_cast<std::size_t>(item)];
    if (p <= best) ideal += discount(place);
    if (!std::binary_search(sorted.begin(), sorted.end(), item)) continue;
    ++hits;
    if (hits == 1) first = 1 / place;
    gain += discount(place);
    precision += hits / place;
  }
  ++lists_;
  recall_ += hits / static_cast<double>(sorted.size());
  mrr_ += first;
  ndcg_ += gain / ideal;
  hit_ += hits > 0 ? 1 : 0;
  precision_ += hits / static_cast<double>(k_);
  map_ += precision / static_cast<double>(best);
  popular_ += popular;
}

void ListMetrics::merge(const ListMetrics& o) {
  require<InternalError>(k_ == o.k_ && counts_.size() == o.counts_.size(), "metrics: only parts with the same k and items merge");
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += o.counts_[i];
  lists_ += o.lists_;
  recall_ += o.recall_;
  mrr_ += o.mrr_;
  ndcg_ += o.ndcg_;
  hit_ += o.hit_;
  precision_ += o.precision_;
  map_ += o.map_;
  popular_ += o.popular_;
}

Metrics ListMetrics::metrics(std::string_view prefix) const {
  require<DataError>(lists_ > 0, "metrics: there is no list to evaluate");
  std::vector<std::int64_t> ascending = counts_;
  std::sort(ascending.begin(), ascending.end());
  const auto n = static_cast<double>(counts_.size()), lists = static_cast<double>(lists_), total = lists * static_cast<double>(k_);
  double covered = 0, gini = 0, entropy = 0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const auto c = static_cast<double>(ascending[i]);
    if (c == 0) continue;
    covered += 1;
    gini += (2 * static_cast<double>(i + 1) - n - 1) * c;
    entropy -= c / total * std::log(c / total);
  }
  const auto at = [&](std::string_view name, double value) { return Metric{name_at(prefix, name, k_), value}; };
  return {at("recall", recall_ / lists),       at("mrr", mrr_ / lists), at("ndcg", ndcg_ / lists),   at("hit", hit_ / lists),
          at("precision", precision_ / lists), at("map", map_ / lists), at("coverage", covered / n), at("popularity", popular_ / total),
          at("gini", gini / (n * total)),      at("entropy", entropy)};
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
