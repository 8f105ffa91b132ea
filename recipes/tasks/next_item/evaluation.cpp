#include "recipes/tasks/next_item/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/packing.h"
#include "data/sampler.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/recommendation/baselines.h"
#include "recipes/tasks/recommendation/score_rows.h"

namespace capstan::next_item {
namespace {

using engine::Rank;
using engine::Split;

using data::at;

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

Protocols::Protocols(const Dataset& data, const EvaluateOptions& options, std::uint64_t seed, const data::IdMap& only)
    : data_(data),
      options_(options),
      seed_(seed),
      validation_(data.cases(Split::validation, options.users, seed, only)),
      test_(data.cases(Split::test, options.users, seed, only)) {
  require<ConfigError>(!options_.metrics.empty() && !options_.k.empty(), "evaluate.metrics and evaluate.k must not be empty");
  engine::named_by("evaluate.metrics, evaluate.k", [&] { return start(); });  // refuses unknown names
  require<ConfigError>(options_.sampled_negatives > 0 || options_.filtered || options_.unfiltered,
                       "evaluate: all protocols are off: sampled_negatives = 0, filtered = false, unfiltered = false");
  if (only.size() > 0)
    require<DataError>(!validation_.empty() || !test_.empty(), "none of the ", only.size(), " users, such as '", only[0],
                       "', has an item to predict; users of the data are such as '", data.user_name(0), "'");
  const bool known_parts = data.part_files() || data.rule() == SplitRule::time;
  require<DataError>(!validation_.empty() || !test_.empty() || known_parts,
                     "next_item: no user has three or more items, so nothing can be evaluated: ", data_.summary());
  if (options_.sampled_negatives > 0) {
    if (options_.negatives == NegativeRule::popularity) {
      popular_.assign(data.popularity().begin(), data.popularity().end());
      std::partial_sum(popular_.begin(), popular_.end(), popular_.begin());
    }
    check_negatives();
  }
}

void Protocols::check_negatives() const {
  const bool original = options_.negatives == NegativeRule::original, popular = options_.negatives == NegativeRule::popularity;
  const auto& popularity = data_.popularity();
  const std::int64_t drawn_from = popular ? std::ranges::count_if(popularity, [](auto p) { return p > 0; }) : data_.item_count();
  for (const auto* cases : {&validation_, &test_})
    for (const Case& c : *cases) {
      if (c.index > 0) continue;
      const auto had = original ? std::vector<std::int32_t>() : distinct(data_.everything(c.user));
      const std::int64_t taken = original  ? static_cast<std::int64_t>(data_.train_items(c.user).size())
                                 : popular ? std::ranges::count_if(had, [&](auto item) { return popularity[at(item)] > 0; })
                                           : static_cast<std::int64_t>(had.size());
      const std::int64_t needed = original ? 1 : options_.sampled_negatives, left = drawn_from - taken;
      require<DataError>(left >= needed, "next_item: evaluate.sampled_negatives = ", options_.sampled_negatives, " needs ", needed,
                         " items that user '", data_.user_name(c.user), "' has not had", popular ? " and that occur in training" : "",
                         ", there are ", left);
    }
}

std::vector<std::int32_t> Protocols::draw_popular(Rng& rng, std::span<const std::int32_t> excluded) const {
  // One after the other in proportion to training events, what was had or drawn again being drawn anew.
  std::unordered_set<std::int32_t> taken(excluded.begin(), excluded.end());
  std::vector<std::int32_t> out;
  for (std::int64_t left = 50 * options_.sampled_negatives; left > 0 && std::ssize(out) < options_.sampled_negatives; --left) {
    const double u = rng.uniform() * popular_.back();
    const auto item = static_cast<std::int32_t>(std::ranges::upper_bound(popular_, u) - popular_.begin());
    if (at(item) < popular_.size() && taken.insert(item).second) out.push_back(item);
  }
  if (std::ssize(out) == options_.sampled_negatives) return out;
  // Most of what is frequent is taken. The items with the smallest -log(u) / weight are such a draw too (Efraimidis and Spirakis 2006).
  std::vector<std::pair<double, std::int32_t>> keys;
  for (std::size_t i = 1; i < popular_.size(); ++i) {
    const auto item = static_cast<std::int32_t>(i);
    const double weight = popular_[i] - popular_[i - 1];
    if (weight > 0 && !taken.contains(item)) keys.emplace_back(-std::log1p(-rng.uniform()) / weight, item);
  }
  const auto missing = at(options_.sampled_negatives) - out.size();
  std::ranges::nth_element(keys, keys.begin() + static_cast<std::ptrdiff_t>(missing - 1));
  for (std::size_t i = 0; i < missing; ++i) out.push_back(keys[i].second);
  return out;
}

std::vector<std::int32_t> Protocols::negatives(const Case& c) const {
  const auto user = static_cast<std::uint64_t>(c.user);
  Rng rng(c.index == 0 ? random_key(seed_, "evaluation negatives", {user})
                       : random_key(seed_, "evaluation negatives", {user, static_cast<std::uint64_t>(c.index)}));
  if (options_.negatives == NegativeRule::popularity) return draw_popular(rng, data_.everything(c.user));
  if (options_.negatives == NegativeRule::distinct)
    return draw_distinct(rng, data_.item_count(), distinct(data_.everything(c.user)), options_.sampled_negatives);
  std::vector<std::int32_t> out(at(options_.sampled_negatives));
  data::draw_excluding(rng, 1, data_.item_count() + 1, data_.train_items(c.user), out);
  return out;
}

std::vector<engine::Accumulator*> Evaluation::accumulators() {
  std::vector<engine::Accumulator*> out;
  for (auto* ranks : {&sampled, &filtered, &unfiltered})
    if (*ranks) out.push_back(&**ranks);
  if (shown)
    for (engine::Accumulator* sums : shown->sums()) out.push_back(sums);
  return out;
}

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  out.put_list(std::span(cases));
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  const auto more = data::Unpacker(rest).list<CaseRanks>();
  cases.insert(cases.end(), more.begin(), more.end());
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

Ranked Protocols::rank(const Case& c, std::span<const float> scores) const {
  const std::int32_t target = data_.target(c);
  const float score = scores[at(target)];
  Ranked out;
  if (options_.filtered || options_.unfiltered) {
    Rank rank = count_against(scores.subspan(1), score);
    if (options_.unfiltered) out.unfiltered = rank;
    for (const std::int32_t item : distinct(data_.history(c)))
      if (item != target) count_in(rank, scores[at(item)], score, -1);
    if (options_.filtered) out.filtered = rank;
  }
  if (options_.sampled_negatives > 0) {
    require<NumericalError>(score == score, "evaluate: the score of a target is NaN");
    out.sampled.emplace();
    for (const std::int32_t item : negatives(c)) count_in(*out.sampled, scores[at(item)], score, 1);
  }
  return out;
}

void Protocols::add(Evaluation& to, const Case& c, std::span<const float> scores) const {
  const Ranked ranked = rank(c, scores);
  CaseRanks ranks{.of = c};
  const auto keep = [](std::optional<engine::RankMetrics>& metrics, const std::optional<Rank>& of, double& place) {
    if (!metrics) return;
    metrics->add(of.value());
    place = of->at(engine::Ties::median);
  };
  keep(to.unfiltered, ranked.unfiltered, ranks.unfiltered);
  keep(to.filtered, ranked.filtered, ranks.filtered);
  keep(to.sampled, ranked.sampled, ranks.sampled);
  if (to.shown) to.shown->add(data_.target(c) - 1, c.place, ranked.shown());
  if (!options_.output.empty()) to.cases.push_back(ranks);
}

std::string Protocols::shown_among() const {
  if (options_.filtered) return "all items but those of the user's history";
  if (options_.unfiltered) return "all items";
  return join_text("for the rank ", options_.sampled_negatives, " drawn items, for the recommendations all");
}

recommendation::ShownList Protocols::list(const Case& c, std::span<float> scores) const {
  const std::int32_t target = data_.target(c);
  recommendation::ShownList out{.who = std::string(data_.user_name(c.user)), .next = target - 1, .rank = rank(c, scores).shown()};
  for (const std::int32_t item : data_.history(c)) out.history.push_back(item - 1);
  if (options_.filtered)
    for (const std::int32_t item : data_.history(c))
      if (item != target) scores[at(item)] = -std::numeric_limits<float>::infinity();
  out.items = engine::top_k(scores.subspan(1), recommendation::kShownTop);
  return out;
}

std::string Protocols::table(std::span<const CaseRanks> cases) const {
  const bool sampled = options_.sampled_negatives > 0;
  std::string out = "user\titem\thistory";
  if (sampled) out += join_text("\tsampled", options_.sampled_negatives);
  out += join_text(options_.filtered ? "\tfull_filtered" : "", options_.unfiltered ? "\tfull_unfiltered" : "", "\n");
  for (const CaseRanks& c : cases) {
    out += join_text(recommendation::as_field(data_.user_name(c.of.user)), "\t",
                     recommendation::as_field(data_.item_names()[data_.target(c.of) - 1]), "\t", c.of.place);
    if (sampled) out += join_text("\t", c.sampled);
    if (options_.filtered) out += join_text("\t", c.filtered);
    if (options_.unfiltered) out += join_text("\t", c.unfiltered);
    out += "\n";
  }
  return out;
}

engine::Metrics Protocols::run(Split split, const Scorer& scorer, std::string_view prefix) const {
  Evaluation evaluation = start(prefix);
  const auto all = cases(split);
  const std::int64_t width = data_.item_count() + 1, block = std::min<std::int64_t>(256, recommendation::score_rows(width));
  std::vector<float> scores(at(block * width));
  for (std::int64_t first = 0; first < std::ssize(all); first += block) {
    engine::throw_if_stopped();
    const auto some = all.subspan(at(first), at(std::min<std::int64_t>(block, std::ssize(all) - first)));
    scorer(some, std::span(scores).first(some.size() * at(width)));
    for (std::size_t i = 0; i < some.size(); ++i)
      add(evaluation, some[i], std::span<const float>(scores).subspan(i * at(width), at(width)));
  }
  return engine::reported(evaluation.accumulators());
}

engine::Metrics Protocols::baselines(Split split) const {
  if (data_.training_users() == 0 || cases(split).empty()) return {};
  engine::Metrics out = run(split, popularity_scorer(data_), "popularity/");
  const engine::Metrics markov = run(split, markov_scorer(data_), "markov/");
  out.insert(out.end(), markov.begin(), markov.end());
  const bool recall = std::ranges::any_of(options_.metrics, [](const auto& m) { return m == "recall" || m == "hit"; });
  if (data_.chain() && options_.unfiltered && recall) {
    const std::vector<std::int32_t> states = data_.chain()->states(data_.item_names());
    std::vector<std::int32_t> last;
    for (const Case& c : cases(split)) last.push_back(states[at(data_.history(c).back() - 1)]);
    const bool named_hit = std::ranges::find(options_.metrics, "recall") == options_.metrics.end();
    for (const auto k : options_.k)
      out.push_back({join_text("optimum/full_unfiltered/", named_hit ? "hit" : "recall", "@", k),
                     data_.chain()->best_recall(last, static_cast<int>(std::min(k, data_.item_count())))});
  }
  return out;
}

std::string Protocols::text(Split split) const {
  const auto all = cases(split);
  const bool validation = split == Split::validation;
  std::string out =
      data_.part_files() || data_.rule() == SplitRule::time
          ? join_text("protocol: ", all.size(), " items of ", std::ranges::count(all, 0, &Case::index), " users in the ",
                      engine::name_of(split), " part, each given all items of the user before it; ties take the median place\n")
          : join_text("protocol: the ", validation ? "second last" : "last", " item of ", all.size(),
                      " users, given all items before it; ties take the median place\n");
  if (options_.sampled_negatives > 0)
    out += join_text("  sampled", options_.sampled_negatives, ": among ", options_.sampled_negatives, " other items, ",
                     options_.negatives == NegativeRule::original   ? "drawn with replacement from those not in training"
                     : options_.negatives == NegativeRule::distinct ? "drawn without replacement from those the user never had"
                                                                    : "drawn without replacement from those the user never had, in "
                                                                      "proportion to training events",
                     ", once per ", all.size() == at(std::ranges::count(all, 0, &Case::index)) ? "user" : "prediction", " (run.seed ",
                     seed_, ")\n");
  if (options_.filtered) out += join_text("  full_filtered: among all ", data_.item_count(), " items except the user's history\n");
  if (options_.unfiltered) out += join_text("  full_unfiltered: among all ", data_.item_count(), " items\n");
  return out;
}

Scorer popularity_scorer(const Dataset& data) {
  std::vector<float> scores(data.popularity().begin(), data.popularity().end());
  return [scores = std::move(scores)](std::span<const Case> cases, std::span<float> out) {
    for (std::size_t i = 0; i < cases.size(); ++i) std::ranges::copy(scores, out.begin() + static_cast<std::ptrdiff_t>(i * scores.size()));
  };
}

Scorer markov_scorer(const Dataset& data) {
  const auto table = std::make_shared<recommendation::ScoreTable>(recommendation::transitions(
      {.count = data.user_count(), .items = data.item_count() + 1, .get = [&](std::int64_t user) { return data.train(user); }}));
  // Popularity as a fraction of 1, so that it orders items of equal count and nothing else.
  std::vector<float> base;
  const auto& popularity = data.popularity();
  const double most = 1.0 + static_cast<double>(*std::ranges::max_element(popularity));
  for (const auto p : popularity) base.push_back(static_cast<float>(static_cast<double>(p) / most));
  return [&data, table, base = std::move(base)](std::span<const Case> cases, std::span<float> out) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto scores = out.subspan(i * base.size(), base.size());
      std::ranges::copy(base, scores.begin());
      for (const auto& [item, count] : table->row(data.history(cases[i]).back())) scores[at(item)] += count;
    }
  };
}

}  // namespace capstan::next_item
