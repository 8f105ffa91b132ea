#pragma once
// Evaluation of next-event predictions, and the baselines to hold them against.
//
// Every event of a session but its first is one case; the model starts each session with a zero state and the target is ranked among all
// items, none filtered. recall@k and mrr@k are means over cases, so they do not depend on how sessions are batched. A NaN score is a
// NumericalError. Ranks are tie-aware, see engine::Ties.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "recipes/engine/metrics/ranking.h"
#include "recipes/tasks/next_event/batch.h"
#include "recipes/tasks/next_event/dataset.h"
#include "recipes/tasks/next_event/network.h"
#include "recipes/tasks/next_event/options.h"

namespace capstan::next_event {

/// Where the next event of a session ranked.
struct CaseRank {
  std::int64_t session = 0, item = 0;
  double rank = 0;
};

/// Where the pass over a split stands: recall@k, mrr@k, "tied" (share of targets whose score is not unique), "cases", and
/// "unknown_events", the events left out because their items are unknown.
struct Evaluation {
  explicit Evaluation(const EvaluateOptions& options);
  engine::RankMetrics ranks;
  engine::Count unknown_events{"unknown_events"};
  nn::Hidden hidden = {};            ///< of the slots of the batch before; empty at the start
  std::vector<CaseRank> cases = {};  ///< with evaluate.output, step by step
  std::vector<engine::Accumulator*> accumulators() { return {&ranks, &unknown_events}; }
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
};

/// Takes one step and calls f(slot, rank of the next event) for every slot in order.
void rank_step(const Network& network, const Batch& batch, nn::Hidden& hidden, const nn::Run& run,
               const std::function<void(std::int64_t slot, const engine::Rank& rank)>& f);

/// The rank of the next event for each case in order, with `slots` sessions side by side. For tests and analysis.
std::vector<engine::Rank> ranks_of(const Network& network, const data::Interactions& events, std::int64_t slots);

/// Baselines learned by counting (recommendation/baselines.h); each scores items after the newest event alone.
///   popularity/  training events of an item
///   markov/      how often the item followed the newest one in training
///   item_knn/    cosine of the two items' training sessions
class Baselines {
 public:
  explicit Baselines(const data::Interactions& train);
  engine::Metrics evaluate(const data::Interactions& events, const EvaluateOptions& options) const;

 private:
  std::vector<engine::Rank> popularity_;  // by item
  recommendation::ScoreTable markov_, neighbours_;
};

/// "optimum/recall@k": what no model can beat on average, for events of a generator.
engine::Metrics optimum(const data::MarkovChain& chain, const data::Interactions& events, const EvaluateOptions& options);

}  // namespace capstan::next_event
