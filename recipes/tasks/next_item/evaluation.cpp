#include "recipes/tasks/next_item/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "autograd/core/error.h"
#include "data/sampler.h"
#include "recipes/tasks/recommendation/baselines.h"
#include "recipes/tasks/recommendation/score_rows.h"

namespace capstan::next_item {
namespace {

using engine::Rank;
using engine::Split;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::int32_t> distinct(std::span<const std::int32_t> items) {
  std::vector<std::int32_t> out(items.begin(), items.end());
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// How many scores are above and equal to `score`, which need not be among them. Three plain counts that the compiler vectorises.
Rank count_against(std::span<const float> scores, float score) {
  std::int32_t above = 0, equal = 0, numbers = 0;
  for (const float s : scores) {
    above += s > score ? 1 : 0;
    equal += s == score ? 1 : 0;
    numbers += s == s ? 1 : 0;
  }
  require<NumericalError>(numbers == static_cast<std::int32_t>(scores.size()) && score == score, "evaluate: a score is NaN");
  return {.above = above, .equal = equal};
}

void count_in(Rank& rank, float other, float score, std::int64_t count) {
  rank.above += other > score ? count : 0;
  rank.equal += other == score ? count : 0;
}

/// `count` different items out of 1 .. items without `excluded` (sorted, distinct): Floyd's sample of ranks, then ranks to items.
std::vector<std::int32_t> draw_distinct(Rng& rng, std::int64_t items, std::span<const std::int32_t> excluded, std::int64_t count) {
  const std::int64_t left = items - static_cast<std::int64_t>(excluded.size());
  std::unordered_set<std::int64_t> chosen;
  std::vector<std::int32_t> out;
  for (std::int64_t j = left - count; j < left; ++j) {
    auto rank = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(j + 1)));
    if (!chosen.insert(rank).second) chosen.insert(rank = j);
    // excluded[i] - 1 - i items are below the i-th excluded one: as many of those as lie at or below `rank` are skipped.
    std::int64_t first = 0, last = static_cast<std::int64_t>(excluded.size());
    while (first < last) {
      const std::int64_t middle = (first + last) / 2;
      if (excluded[at(middle)] - 1 - middle <= rank) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    out.push_back(static_cast<std::int32_t>(1 + rank + first));
  }
  return out;
}

}  // namespace

Protocols::Protocols(const Dataset& data, const EvaluateOptions& options, std::uint64_t seed)
    : data_(data), options_(options), seed_(seed), users_(data.evaluated_users(options.users, seed)) {
  require<ConfigError>(!options_.metrics.empty() && !options_.k.empty(), "evaluate.metrics and evaluate.k must not be empty");
  engine::named_by("evaluate.metrics, evaluate.k", [&] { return start(); });  // refuses unknown names
  require<ConfigError>(options_.sampled_negatives > 0 || options_.filtered || options_.unfiltered,
                       "evaluate: all protocols are off: sampled_negatives = 0, filtered = false, unfiltered = false");
  require<DataError>(!users_.empty(), "next_item: no user has three or more items, so nothing can be evaluated: ", data_.summary());
  if (options_.sampled_negatives > 0) check_negatives();
}

void Protocols::check_negatives() const {
  for (const auto u : users_) {
    const bool original = options_.negatives == NegativeRule::original;
    const std::int64_t taken = static_cast<std::int64_t>(original ? data_.train_items(u).size() : distinct(data_.everything(u)).size());
    const std::int64_t needed = original ? 1 : options_.sampled_negatives, left = data_.item_count() - taken;
    require<DataError>(left >= needed, "next_item: evaluate.sampled_negatives = ", options_.sampled_negatives, " needs ", needed,
                       " items that user '", data_.user_name(u), "' has not had, there are ", left);
  }
}

std::vector<std::int32_t> Protocols::negatives(std::int64_t user) const {
  Rng rng(random_key(seed_, "evaluation negatives", {static_cast<std::uint64_t>(user)}));
  if (options_.negatives == NegativeRule::distinct)
    return draw_distinct(rng, data_.item_count(), distinct(data_.everything(user)), options_.sampled_negatives);
  std::vector<std::int32_t> out(at(options_.sampled_negatives));
  data::draw_excluding(rng, 1, data_.item_count() + 1, data_.train_items(user), out);
  return out;
}

std::vector<engine::Accumulator*> Evaluation::accumulators() {
  std::vector<engine::Accumulator*> out;
  for (auto* ranks : {&sampled, &filtered, &unfiltered})
    if (*ranks) out.push_back(&**ranks);
  return out;
}

Evaluation Protocols::start(std::string_view prefix) const {
  const auto ranks = [&](bool on, const std::string& protocol) {
    std::optional<engine::RankMetrics> out;
    if (on)
      out.emplace(engine::RankOptions{.cutoffs = options_.k, .names = options_.metrics, .prefix = std::string(prefix) + protocol + "/"});
    return out;
  };
  return {.sampled = ranks(options_.sampled_negatives > 0, "sampled" + std::to_string(options_.sampled_negatives)),
          .filtered = ranks(options_.filtered, "full_filtered"),
          .unfiltered = ranks(options_.unfiltered, "full_unfiltered")};
}

void Protocols::add(Evaluation& to, std::int64_t user, Split split, std::span<const float> scores) const {
  const std::int32_t target = data_.target(user, split);
  const float score = scores[at(target)];
  if (to.filtered || to.unfiltered) {
    Rank rank = count_against(scores.subspan(1), score);
    if (to.unfiltered) to.unfiltered->add(rank);
    for (const std::int32_t item : distinct(data_.history(user, split)))
      if (item != target) count_in(rank, scores[at(item)], score, -1);
    if (to.filtered) to.filtered->add(rank);
  }
  if (to.sampled) {
    require<NumericalError>(score == score, "evaluate: the score of a target is NaN");
    Rank rank;
    for (const std::int32_t item : negatives(user)) count_in(rank, scores[at(item)], score, 1);
    to.sampled->add(rank);
  }
}

engine::Metrics Protocols::run(Split split, const Scorer& scorer, std::string_view prefix) const {
  Evaluation evaluation = start(prefix);
  const std::int64_t width = data_.item_count() + 1, block = std::min<std::int64_t>(256, recommendation::score_rows(width));
  std::vector<float> scores(at(block * width));
  for (std::int64_t first = 0; first < static_cast<std::int64_t>(users_.size()); first += block) {
    const auto users = std::span(users_).subspan(at(first), at(std::min(block, static_cast<std::int64_t>(users_.size()) - first)));
    scorer(users, std::span(scores).first(users.size() * at(width)));
    for (std::size_t i = 0; i < users.size(); ++i)
      add(evaluation, users[i], split, std::span<const float>(scores).subspan(i * at(width), at(width)));
  }
  return engine::reported(evaluation.accumulators());
}

engine::Metrics Protocols::baselines(Split split) const {
  engine::Metrics out = run(split, popularity_scorer(data_), "popularity/");
  const engine::Metrics markov = run(split, markov_scorer(data_, split), "markov/");
  out.insert(out.end(), markov.begin(), markov.end());
  const bool recall = std::ranges::any_of(options_.metrics, [](const auto& m) { return m == "recall" || m == "hit"; });
  if (data_.chain() && options_.unfiltered && recall) {
    const std::vector<std::int32_t> states = data_.chain()->states(data_.item_names());
    std::vector<std::int32_t> last;
    for (const auto u : users_) last.push_back(states[at(data_.history(u, split).back() - 1)]);
    const bool named_hit = std::ranges::find(options_.metrics, "recall") == options_.metrics.end();
    for (const auto k : options_.k)
      out.push_back({join_text("optimum/full_unfiltered/", named_hit ? "hit" : "recall", "@", k),
                     data_.chain()->best_recall(last, static_cast<int>(std::min(k, data_.item_count())))});
  }
  return out;
}

std::string Protocols::text(Split split) const {
  const std::string what = split == Split::validation ? "second last item of " : "last item of ";
  std::string out = join_text("protocol: the ", what, users_.size(), " users, given all items before it; ties take the median place\n");
  if (options_.sampled_negatives > 0)
    out += join_text("  sampled", options_.sampled_negatives, ": among ", options_.sampled_negatives, " other items, ",
                     options_.negatives == NegativeRule::original ? "drawn with replacement from those not in training"
                                                                  : "drawn without replacement from those the user never had",
                     ", once per user (run.seed ", seed_, ")\n");
  if (options_.filtered) out += join_text("  full_filtered: among all ", data_.item_count(), " items except the user's history\n");
  if (options_.unfiltered) out += join_text("  full_unfiltered: among all ", data_.item_count(), " items\n");
  return out;
}

Scorer popularity_scorer(const Dataset& data) {
  std::vector<float> scores(data.popularity().begin(), data.popularity().end());
  return [scores = std::move(scores)](std::span<const std::int64_t> users, std::span<float> out) {
    for (std::size_t i = 0; i < users.size(); ++i) std::ranges::copy(scores, out.begin() + static_cast<std::ptrdiff_t>(i * scores.size()));
  };
}

Scorer markov_scorer(const Dataset& data, Split split) {
  const auto table = std::make_shared<recommendation::ScoreTable>(recommendation::transitions(
      {.count = data.user_count(), .items = data.item_count() + 1, .get = [&](std::int64_t user) { return data.train(user); }}));
  // Popularity as a fraction of 1, so that it orders items of equal count and nothing else.
  std::vector<float> base;
  const auto& popularity = data.popularity();
  const double most = 1.0 + static_cast<double>(*std::ranges::max_element(popularity));
  for (const auto p : popularity) base.push_back(static_cast<float>(static_cast<double>(p) / most));
  return [&data, split, table, base = std::move(base)](std::span<const std::int64_t> users, std::span<float> out) {
    for (std::size_t i = 0; i < users.size(); ++i) {
      const auto scores = out.subspan(i * base.size(), base.size());
      std::ranges::copy(base, scores.begin());
      for (const auto& [item, count] : table->row(data.history(users[i], split).back())) scores[at(item)] += count;
    }
  };
}

}  // namespace capstan::next_item
