#pragma once
// The evaluation loop: the batches of a split through the recipe's accumulators.

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "optim/optimizer.h"
#include "optim/weight_average.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

class Evaluator {
 public:
  /// `progress_fd`: a terminal there shows how far a pass is; -1: none. Several processes share out the cases of a split; each gets the
  /// metrics of all, and the first one alone writes files and takes baselines, which the others do not report.
  Evaluator(AnyRecipe& recipe, const EvaluateOptions& options, int progress_fd = -1, Comm* comm = nullptr)
      : recipe_(recipe), options_(options), progress_fd_(progress_fd), comm_(comm != nullptr ? *comm : alone_) {}

  /// What run() reports for a split, before anything is computed; empty: there is no such split.
  std::vector<MetricInfo> metrics(Split split);
  /// The metrics of a split and those of the baselines, which are taken once; empty: there is no such split. Throws DataError if it has no
  /// case, StopRequested between two batches when a signal asks for a stop.
  Metrics run(Split split) { return run(split, {}); }
  /// The same, and beside the metrics what the pass shows. Finding it takes time and is left to the call of the function that is handed
  /// over, inside `use`, which is called once before run() returns, on the first of several processes alone.
  using Use = std::function<void(const Metrics&, const std::function<std::vector<Finding>()>& findings)>;
  Metrics run(Split split, const Use& use);
  /// Answers to a few samples of the last run(), a line each; most recipes have none.
  const std::vector<std::string>& examples() const { return examples_; }

 private:
  AnyRecipe& recipe_;
  EvaluateOptions options_;
  int progress_fd_;
  SelfComm alone_;
  Comm& comm_;
  std::array<std::optional<Metrics>, 3> baselines_;  // by split
  std::vector<std::string> examples_;
};

/// The metric that selects the best checkpoint: `wanted`, the recipe's choice, or the first declared one that has a direction. Throws
/// ConfigError with the declared ones if `wanted` is none of them.
MetricInfo selection(const AnyRecipe& recipe, const std::vector<MetricInfo>& declared, std::string_view wanted);

}  // namespace capstan::engine
