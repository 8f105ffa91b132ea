#include "recipes/gru4rec/evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "data/sessions.h"

namespace capstan::gru4rec {
namespace {

constexpr std::int64_t kScoreBytes = std::int64_t{64} << 20;  // of scores held at a time
constexpr double kDamping = 20;
constexpr std::size_t kNeighbours = 100;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Tensor index_tensor(std::span<const std::int32_t> items) {
  Tensor t(Shape{static_cast<std::int64_t>(items.size())}, DType::i64);
  std::ranges::copy(items, t.data<std::int64_t>());
  return t;
}

// Calls f(session, rank) for every case, side by side over sessions.
template <class F>
void for_each_rank(const Model& model, const data::Interactions& events, std::int64_t batch_size, const F& f) {
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kScoreBytes / 4 / model.item_count());
  data::SessionBatches batches(events.offsets, events.items, batch_size);
  data::SessionStep step;
  Hidden hidden;
  while (batches.next(step)) {
    hidden = continued(hidden, model, step.kept, step.reset);
    const Tensor output = model.step(index_tensor(step.inputs), hidden, {});
    const auto slots = static_cast<std::int64_t>(step.targets.size());
    for (std::int64_t first = 0; first < slots; first += rows_at_once) {
      const std::int64_t count = std::min(rows_at_once, slots - first);
      const Tensor scores = model.scores(output.view(output.layout().slice(0, first, count))).contiguous();
      const std::span<const float> all = scores.span<const float>();
      for (std::int64_t m = 0; m < count; ++m)
        f(step.sessions[at(first + m)],
          engine::rank_of(all.subspan(at(m * model.item_count()), at(model.item_count())), step.targets[at(first + m)]));
    }
  }
}

// Calls f(item, next item) for every case.
template <class F>
void for_each_case(const data::Interactions& events, const F& f) {
  for (std::int64_t s = 0; s < events.sequences(); ++s) {
    const auto items = events.sequence(s);
    for (std::size_t i = 0; i + 1 < items.size(); ++i) f(items[i], items[i + 1]);
  }
}

}  // namespace

engine::Metrics reported(const engine::RankMetrics& metrics, std::span<const std::int64_t> cutoffs, std::string_view prefix) {
  const engine::Metrics all = metrics.metrics(prefix);
  engine::Metrics out;
  for (const char* const name : {"recall@", "mrr@"})
    for (const std::int64_t k : cutoffs) {
      const std::string full = join_text(prefix, name, k);
      out.push_back({full, engine::value_of(all, full)});
    }
  out.push_back({join_text(prefix, "tied"), metrics.tied_share()});
  return out;
}

engine::Metrics evaluate_model(const Model& model, const Sessions& sessions, const EvaluateOptions& options) {
  engine::RankMetrics metrics(options.k, options.ties);
  for_each_rank(model, sessions.events, options.batch_size, [&](std::int64_t, const engine::Rank& rank) { metrics.add(rank); });
  engine::Metrics out = reported(metrics, options.k, "");
  out.push_back({"cases", static_cast<double>(metrics.cases())});
  out.push_back({"unknown_events", static_cast<double>(sessions.unknown_events)});
  return out;
}

std::vector<engine::Rank> ranks_of(const Model& model, const data::Interactions& events, std::int64_t batch_size) {
  std::vector<std::int64_t> next(at(events.sequences()));  // place of each session's next case
  for (std::int64_t s = 0; s < events.sequences(); ++s) next[at(s)] = events.offsets[at(s)] - s;
  std::vector<engine::Rank> ranks(at(events.events() - events.sequences()));
  for_each_rank(model, events, batch_size, [&](std::int64_t session, const engine::Rank& rank) { ranks[at(next[at(session)]++)] = rank; });
  return ranks;
}

// ---- baselines

Baselines::Baselines(const data::Interactions& train)
    : items_(train.item_count()), markov_(count_transitions(train)), knn_(count_neighbours(train)) {
  std::vector<std::int64_t> support(at(items_));
  for (const auto item : train.items) ++support[at(item)];
  std::vector<std::int64_t> sorted = support;
  std::ranges::sort(sorted);
  for (const std::int64_t s : support) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), s);
    popularity_.push_back({.above = sorted.end() - high, .equal = high - low});
  }
}

engine::Metrics Baselines::evaluate(const data::Interactions& events, const EvaluateOptions& options) const {
  engine::RankMetrics popularity(options.k, options.ties), markov(options.k, options.ties), knn(options.k, options.ties);
  for_each_case(events, [&](std::int32_t item, std::int32_t target) {
    popularity.add(popularity_[at(target)]);
    markov.add(markov_.rank(item, target, items_));
    knn.add(knn_.rank(item, target, items_));
  });
  engine::Metrics out;
  for (const auto& [metrics, prefix] : {std::pair{&popularity, "popularity/"}, {&markov, "markov/"}, {&knn, "item_knn/"}})
    for (auto& m : reported(*metrics, options.k, prefix))
      if (!m.name.ends_with("tied")) out.push_back(std::move(m));
  return out;
}

engine::Rank Baselines::Table::rank(std::int32_t item, std::int32_t target, std::int64_t items) const {
  const auto row = std::span(entries).subspan(at(offsets[at(item)]), at(offsets[at(item) + 1] - offsets[at(item)]));
  const auto found = std::ranges::find(row, target, &Scored::item);
  if (found == row.end()) return {.above = static_cast<std::int64_t>(row.size()), .equal = items - static_cast<std::int64_t>(row.size())};
  return {.above = std::ranges::count_if(row, [&](const Scored& e) { return e.score > found->score; }),
          .equal = std::ranges::count_if(row, [&](const Scored& e) { return e.score == found->score; })};
}

Baselines::Table Baselines::count_transitions(const data::Interactions& train) {
  std::vector<std::uint64_t> pairs;
  for_each_case(
      train, [&](std::int32_t a, std::int32_t b) { pairs.push_back(static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b)); });
  std::ranges::sort(pairs);
  Table t{std::vector<std::int64_t>(at(train.item_count() + 1)), {}};
  for (std::size_t i = 0; i < pairs.size();) {
    std::size_t end = i;
    while (end < pairs.size() && pairs[end] == pairs[i]) ++end;
    t.entries.push_back({static_cast<std::int32_t>(pairs[i] & 0xffffffffu), static_cast<float>(end - i)});
    ++t.offsets[(pairs[i] >> 32) + 1];
    i = end;
  }
  std::partial_sum(t.offsets.begin(), t.offsets.end(), t.offsets.begin());
  return t;
}

Baselines::Table Baselines::count_neighbours(const data::Interactions& train) {
  // The distinct items of each session, and the sessions of each item.
  std::vector<std::vector<std::int32_t>> sessions(at(train.sequences())), of_item(at(train.item_count()));
  for (std::int64_t s = 0; s < train.sequences(); ++s) {
    const auto items = train.sequence(s);
    auto& distinct = sessions[at(s)];
    distinct.assign(items.begin(), items.end());
    std::ranges::sort(distinct);
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const auto item : distinct) of_item[at(item)].push_back(static_cast<std::int32_t>(s));
  }
  Table t{std::vector<std::int64_t>(at(train.item_count() + 1)), {}};
  std::vector<std::int32_t> together(at(train.item_count())), touched;
  std::vector<Scored> row;
  for (std::int64_t item = 0; item < train.item_count(); ++item) {
    for (const auto s : of_item[at(item)])
      for (const auto other : sessions[at(s)])
        if (other != item && together[at(other)]++ == 0) touched.push_back(other);
    const auto support = [&](std::int64_t i) { return static_cast<double>(of_item[at(i)].size()) + kDamping; };
    row.clear();
    for (const auto other : touched) {
      row.push_back({other, static_cast<float>(together[at(other)] / std::sqrt(support(item) * support(other)))});
      together[at(other)] = 0;
    }
    touched.clear();
    std::ranges::sort(row, [](const Scored& a, const Scored& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
    if (row.size() > kNeighbours) row.resize(kNeighbours);
    t.entries.insert(t.entries.end(), row.begin(), row.end());
    t.offsets[at(item + 1)] = static_cast<std::int64_t>(t.entries.size());
  }
  return t;
}

}  // namespace capstan::gru4rec
