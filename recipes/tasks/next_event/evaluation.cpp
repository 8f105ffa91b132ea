#include "recipes/tasks/next_event/evaluation.h"

#include <algorithm>
#include <span>
#include <string>

#include "data/at.h"
#include "data/packing.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/recommendation/score_rows.h"

namespace capstan::next_event {
namespace {

using data::at;

engine::RankMetrics rank_metrics(const EvaluateOptions& options, bool counts, std::string prefix = {}) {
  return engine::RankMetrics(
      {.cutoffs = options.k, .ties = options.ties, .names = {"recall", "mrr"}, .prefix = std::move(prefix), .counts = counts});
}

}  // namespace

Evaluation::Evaluation(const EvaluateOptions& options) : ranks(rank_metrics(options, /*counts=*/true)) {}

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  out.put_list(std::span(cases));
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  const auto more = data::Unpacker(rest).list<CaseRank>();
  cases.insert(cases.end(), more.begin(), more.end());
}

void Evaluation::add(std::int64_t session, std::int64_t item, double rank) {
  if (!shown) return;
  shown->add(item, ++met[at(session)], rank);
}

std::vector<engine::Accumulator*> Evaluation::accumulators() {
  std::vector<engine::Accumulator*> all{&ranks, &unknown_events};
  if (shown)
    for (engine::Accumulator* sums : shown->sums()) all.push_back(sums);
  return all;
}

void score_step(const Network& network, const Batch& batch, nn::Hidden& hidden, const nn::Run& run,
                const std::function<void(std::int64_t slot, std::span<const float> scores)>& f) {
  hidden = nn::continued(hidden, network.start, batch.kept, batch.reset);
  const Tensor output = network.step(batch.inputs, hidden, run);
  const std::int64_t slots = output.size(0), items = network.item_count(), block = recommendation::score_rows(items);
  for (std::int64_t first = 0; first < slots; first += block) {
    const std::int64_t count = std::min(block, slots - first);
    const Tensor scores = network.scores(output.view(output.layout().slice(0, first, count))).contiguous();
    const auto all = scores.span<const float>();
    for (std::int64_t m = 0; m < count; ++m) f(first + m, all.subspan(at(m * items), at(items)));
  }
}

void rank_step(const Network& network, const Batch& batch, nn::Hidden& hidden, const nn::Run& run,
               const std::function<void(std::int64_t slot, const engine::Rank& rank)>& f) {
  const auto targets = batch.candidates.items.span<const std::int64_t>();
  score_step(network, batch, hidden, run,
             [&](std::int64_t slot, std::span<const float> scores) { f(slot, engine::rank_of(scores, targets[at(slot)])); });
}

std::vector<engine::Rank> ranks_of(const Network& network, const data::Interactions& events, std::int64_t slots) {
  std::vector<std::int64_t> next(at(events.sequences()));  // place of each session's next case
  for (std::int64_t s = 0; s < events.sequences(); ++s) next[at(s)] = events.offsets[at(s)] - s;
  std::vector<engine::Rank> ranks(at(events.events() - events.sequences()));
  const auto steps = evaluation_steps(events, slots);
  nn::Hidden hidden;
  while (const auto batch = steps())
    rank_step(network, *batch, hidden, {},
              [&](std::int64_t slot, const engine::Rank& rank) { ranks[at(next[at(batch->sessions[at(slot)])]++)] = rank; });
  return ranks;
}

// ---- baselines

Baselines::Baselines(const data::Interactions& train)
    : markov_(recommendation::transitions(sequences_of(train))), neighbours_(recommendation::neighbours(sequences_of(train))) {
  const std::vector<std::int64_t> support = recommendation::supports(sequences_of(train));
  std::vector<std::int64_t> sorted = support;
  std::ranges::sort(sorted);
  for (const std::int64_t s : support) {
    const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), s);
    popularity_.push_back({.above = sorted.end() - high, .equal = high - low});
  }
}

engine::Metrics Baselines::evaluate(const data::Interactions& events, const EvaluateOptions& options) const {
  engine::RankMetrics popularity = rank_metrics(options, /*counts=*/false, "popularity/");
  engine::RankMetrics markov = rank_metrics(options, false, "markov/"), neighbours = rank_metrics(options, false, "item_knn/");
  for (std::int64_t s = 0; s < events.sequences(); ++s) {
    engine::throw_if_stopped();
    const auto items = events.sequence(s);
    for (std::size_t i = 0; i + 1 < items.size(); ++i) {
      popularity.add(popularity_[at(items[i + 1])]);
      markov.add(markov_.rank(items[i], items[i + 1]));
      neighbours.add(neighbours_.rank(items[i], items[i + 1]));
    }
  }
  engine::Accumulator* const all[] = {&popularity, &markov, &neighbours};
  return engine::reported(all);
}

engine::Metrics optimum(const data::MarkovChain& chain, const data::Interactions& events, const EvaluateOptions& options) {
  const auto states = chain.states(*events.item_ids);
  data::NextItemCases cases = data::all_cases(events);
  for (auto& item : cases.last) item = states[at(item)];
  engine::Metrics out;
  for (const std::int64_t k : options.k)
    out.push_back({join_text("optimum/recall@", k), chain.best_recall(cases.last, static_cast<int>(k))});
  return out;
}

}  // namespace capstan::next_event
