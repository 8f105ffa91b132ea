#pragma once
// Evaluation of next-event predictions, and the baselines to hold them against.
//
// Every event of a session but its first is one case; the model starts each session with a zero state and the target is ranked among all
// items, none filtered. recall@k and mrr@k are means over cases, so they do not depend on how sessions are batched. A NaN score is a
// NumericalError. Ranks are tie-aware, see engine::Ties.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "recipes/engine/metrics/ranking.h"
#include "recipes/tasks/next_event/batch.h"
#include "recipes/tasks/next_event/dataset.h"
#include "recipes/tasks/next_event/network.h"
#include "recipes/tasks/next_event/options.h"
#include "recipes/tasks/recommendation/findings.h"

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
  std::optional<recommendation::ShownRecommendations> shown = {};
  std::vector<std::int32_t> met = {};  ///< events of each session that were met so far, where `shown` is there

  /// Counts the case of a session's next event.
  void add(std::int64_t session, std::int64_t item, double rank);
  std::vector<engine::Accumulator*> accumulators();
  std::vector<engine::Finding> findings() const { return shown ? shown->findings() : std::vector<engine::Finding>(); }
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
};

/// Takes one step and calls f(slot, the scores of all items) for every slot in order.
void score_step(const Network& network, const Batch& batch, nn::Hidden& hidden, const nn::Run& run,
                const std::function<void(std::int64_t slot, std::span<const float> scores)>& f);
/// The same with the rank of the next event.
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
