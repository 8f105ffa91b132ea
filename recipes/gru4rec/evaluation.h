#pragma once
// Evaluation of next-item predictions, and the baselines to hold them against.
//
// Every event of a session but its first is one case; the model starts each session with a zero state and the target is ranked among all
// items, none filtered. recall@k and mrr@k are means over cases, so they do not depend on how sessions are batched. A NaN score is a
// NumericalError. Ranks are tie-aware, see engine::Ties.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/ranking.h"
#include "recipes/gru4rec/dataset.h"
#include "recipes/gru4rec/model.h"
#include "recipes/gru4rec/options.h"

namespace capstan::gru4rec {

/// recall@k and mrr@k of the cut-offs, names after `prefix`, then "cases" and "tied" (share of targets whose score is not unique).
engine::Metrics reported(const engine::RankMetrics& metrics, std::span<const std::int64_t> cutoffs, std::string_view prefix);

/// The model's metrics on some sessions, and "unknown_events", the events left out because their items are unknown.
engine::Metrics evaluate_model(const Model& model, const Sessions& sessions, const EvaluateOptions& options);

/// The rank of the target after the item before it, for each case in order. For tests and analysis.
std::vector<engine::Rank> ranks_of(const Model& model, const data::Interactions& events, std::int64_t batch_size);

/// Baselines learned by counting; each scores items after the newest event alone.
///   popularity/  training events of an item
///   markov/      how often the item followed the newest one in training
///   item_knn/    cosine of the two items' training sessions, damped: n_ij / sqrt((n_i + 20) (n_j + 20)); the 100 nearest items
class Baselines {
 public:
  Baselines(const data::Interactions& train);
  engine::Metrics evaluate(const data::Interactions& events, const EvaluateOptions& options) const;

 private:
  struct Scored {
    std::int32_t item;
    float score;
  };
  /// Sparse scores by item, each row best first; items not listed have score 0.
  struct Table {
    std::vector<std::int64_t> offsets;
    std::vector<Scored> entries;
    engine::Rank rank(std::int32_t item, std::int32_t target, std::int64_t items) const;
  };
  static Table count_transitions(const data::Interactions& train);
  static Table count_neighbours(const data::Interactions& train);

  std::int64_t items_;
  std::vector<engine::Rank> popularity_;  // by item
  Table markov_, knn_;
};

}  // namespace capstan::gru4rec
