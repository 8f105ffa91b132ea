#include "data/synthetic/markov.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "autograd/core/error.h"
#include "data/at.h"

namespace capstan::data {
namespace {

const MarkovOptions& checked(const MarkovOptions& o) {
  require<ConfigError>(o.items >= 2 && o.items <= 100'000'000 && o.branches >= 1 && o.branches < o.items,
                       "markov chain: needs 1 <= branches < items, got ", o.branches, " and ", o.items);
  require<ConfigError>(o.noise >= 0 && o.noise < 1 && o.decay > 0 && o.decay <= 1,
                       "markov chain: needs noise in [0, 1) and decay in (0, 1], got ", o.noise, " and ", o.decay);
  return o;
}

void normalise(std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (auto& w : weights) w /= sum;
}

std::vector<double> geometric(int n, double decay) {
  std::vector<double> w(at(n));
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::pow(decay, static_cast<double>(i));
  normalise(w);
  return w;
}

/// A random ranking of the items; result: items, most popular first.
std::vector<std::int32_t> ranking(const MarkovOptions& o) {
  std::vector<std::int32_t> order(at(o.items));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(random_key(o.seed, "markov popularity"));
  rng.shuffle(std::span(order));
  return order;
}

std::vector<double> zipf(const std::vector<std::int32_t>& order) {
  std::vector<double> w(order.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) w[at(order[rank])] = 1.0 / static_cast<double>(rank + 1);
  normalise(w);
  return w;
}

}  // namespace

NextItemCases all_cases(const Interactions& x) {
  NextItemCases cases;
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    const auto items = x.sequence(s);
    if (items.empty()) continue;
    cases.last.insert(cases.last.end(), items.begin(), items.end() - 1);
    cases.target.insert(cases.target.end(), items.begin() + 1, items.end());
  }
  return cases;
}

NextItemCases last_cases(const Interactions& x) {
  NextItemCases cases;
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    const auto items = x.sequence(s);
    if (items.size() < 2) continue;
    cases.last.push_back(items[items.size() - 2]);
    cases.target.push_back(items.back());
  }
  return cases;
}

MarkovChain::MarkovChain(const MarkovOptions& options)
    : options_(checked(options)),
      branch_weights_(geometric(options.branches, options.decay)),
      by_popularity_(ranking(options)),
      popularity_(zipf(by_popularity_)),
      branch_(branch_weights_),
      popular_(popularity_) {
  successors_.resize(at(options.items * options.branches));
  for (std::int64_t i = 0; i < options.items; ++i) {
    Rng rng(random_key(options.seed, "markov successors", {static_cast<std::uint64_t>(i)}));
    const auto first = successors_.begin() + i * options.branches;
    for (auto next = first; next != first + options.branches;) {  // all different, and none is i itself
      *next = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(options.items)));
      if (*next != i && std::find(first, next, *next) == next) ++next;
    }
  }
}

std::span<const std::int32_t> MarkovChain::successors(std::int32_t from) const {
  require<InternalError>(from >= 0 && from < options_.items, "markov chain: item ", from, " of ", options_.items);
  return std::span(successors_).subspan(at(from) * at(options_.branches), at(options_.branches));
}

double MarkovChain::probability(std::int32_t from, std::int32_t to) const {
  const auto next = successors(from);
  const auto branch = std::find(next.begin(), next.end(), to);
  const double by_branch = branch == next.end() ? 0.0 : branch_weights_[at(branch - next.begin())];
  return (1 - options_.noise) * by_branch + options_.noise * popularity_[at(to)];
}

std::vector<std::int32_t> MarkovChain::best(std::int32_t from, int k) const {
  // Outside the successors items are ordered by popularity, so the k best are among the successors and the k + branches most popular.
  const auto next = successors(from);
  std::vector<std::int32_t> candidates(next.begin(), next.end());
  const auto popular = std::min(by_popularity_.size(), at(k) + next.size());
  for (const auto i : std::span(by_popularity_).first(popular)) {
    if (std::find(next.begin(), next.end(), i) == next.end()) candidates.push_back(i);
  }
  std::vector<std::pair<double, std::int32_t>> ranked;
  for (const auto i : candidates) ranked.emplace_back(-probability(from, i), i);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), at(k)));
  std::vector<std::int32_t> items;
  for (const auto& [p, i] : ranked) items.push_back(i);
  return items;
}

Interactions MarkovChain::sequences(std::int64_t count, int min_length, int max_length, std::uint64_t seed) const {
  require<ConfigError>(count >= 1 && min_length >= 1 && max_length >= min_length,
                       "markov chain: needs count >= 1 and 1 <= min_length <= max_length, got ", count, ", ", min_length, " and ",
                       max_length);
  Interactions x;
  IdMap users, items;
  for (std::int64_t i = 0; i < options_.items; ++i) items.add(std::to_string(i + 1));
  for (std::int64_t s = 0; s < count; ++s) {
    Rng rng(random_key(seed, "markov sequence", {options_.seed, static_cast<std::uint64_t>(s)}));
    const auto length = min_length + static_cast<int>(rng.below(static_cast<std::uint64_t>(max_length - min_length) + 1));
    std::int32_t item = popular_(rng);
    for (int t = 0; t < length; ++t) {
      if (t > 0) item = rng.uniform() < options_.noise ? popular_(rng) : successors(item)[at(branch_(rng))];
      x.items.push_back(item);
      x.times.push_back(600.0 * static_cast<double>(s) + 30.0 * t);
    }
    x.offsets.push_back(x.events());
    x.users.push_back(users.add(std::to_string(s + 1)));
  }
  x.user_ids = std::make_shared<IdMap>(std::move(users));
  x.item_ids = std::make_shared<IdMap>(std::move(items));
  return x;
}

double MarkovChain::best_recall(std::span<const std::int32_t> last, int k) const {
  std::vector<double> known(at(options_.items), -1);
  double sum = 0;
  for (const auto from : last) {
    double& mass = known[at(from)];
    if (mass < 0) {
      mass = 0;
      for (const auto to : best(from, k)) mass += probability(from, to);
    }
    sum += mass;
  }
  return last.empty() ? 0 : sum / static_cast<double>(last.size());
}

double MarkovChain::oracle_recall(const NextItemCases& cases, int k) const {
  std::vector<std::vector<std::int32_t>> known(at(options_.items));
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < cases.last.size(); ++i) {
    auto& top = known[at(cases.last[i])];
    if (top.empty()) top = best(cases.last[i], k);
    hits += std::count(top.begin(), top.end(), cases.target[i]);
  }
  return cases.last.empty() ? 0 : static_cast<double>(hits) / static_cast<double>(cases.last.size());
}

double MarkovChain::popularity_recall(const NextItemCases& cases, int k) const {
  const auto top = std::span(by_popularity_).first(std::min(by_popularity_.size(), at(k)));
  const auto hits =
      std::count_if(cases.target.begin(), cases.target.end(), [&](auto t) { return std::find(top.begin(), top.end(), t) != top.end(); });
  return cases.last.empty() ? 0 : static_cast<double>(hits) / static_cast<double>(cases.last.size());
}

std::vector<std::int32_t> MarkovChain::states(const IdMap& item_ids) const {
  std::vector<std::int32_t> states;
  for (std::int64_t i = 0; i < item_ids.size(); ++i) {
    const auto name = item_ids[i];
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    require<DataError>(error == std::errc() && end == name.data() + name.size() && number >= 1 && number <= options_.items,
                       "markov chain: item \"", name, "\" is not one of 1 .. ", options_.items);
    states.push_back(static_cast<std::int32_t>(number - 1));
  }
  return states;
}

}  // namespace capstan::data
