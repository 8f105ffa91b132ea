#pragma once
// Evaluation: where the next item of each user ranks, under protocols whose name is part of every number.
//
//   sampled<N>       among N drawn items (once per user and run.seed; the same in every evaluation) and the target
//   full_filtered    among all items except those of the user's history before the target: the literature's full ranking
//   full_unfiltered  among all items
//
// Numbers of different protocols must not be compared: sampled ones are three to four times as high as full ones.
// Ranks are tie-aware (median place), so constant scores rank in the middle; a NaN score is a NumericalError. The target itself is
// always a candidate, also if it occurs in the history.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics.h"
#include "recipes/engine/recipe.h"
#include "recipes/sasrec/dataset.h"
#include "recipes/sasrec/options.h"

namespace capstan::sasrec {

/// Scores all items for some users: scores[i * (item_count + 1) + item], entry 0 of a row is not read.
using Scorer = std::function<void(std::span<const std::int64_t> users, std::span<float> scores)>;

class Evaluator {
 public:
  /// Throws ConfigError for unknown metric names, DataError if no user has a target or items to draw are too few.
  Evaluator(const Dataset& data, const EvaluateOptions& options, std::uint64_t seed);

  /// All metrics of one source of scores, names after `prefix` ("popularity/").
  engine::Metrics run(engine::Split split, const Scorer& scorer, std::string_view prefix = {}) const;
  /// Popularity and a first-order Markov chain of the training items ("popularity/", "markov/"), and for synthetic data the best that
  /// any model can reach on average ("optimum/").
  engine::Metrics baselines(engine::Split split) const;
  /// The protocols in words, one line each.
  std::string protocols(engine::Split split) const;

  std::span<const std::int64_t> users() const { return users_; }
  /// The negatives of the sampled protocol.
  std::vector<std::int32_t> negatives(std::int64_t user) const;

 private:
  void check_negatives() const;

  const Dataset& data_;
  EvaluateOptions options_;
  std::uint64_t seed_;
  std::vector<std::int64_t> users_;
};

/// Scores every item by its number of training interactions.
Scorer popularity_scorer(const Dataset& data);
/// Scores every item by how often it followed the user's newest item in training; popularity decides among equals.
Scorer markov_scorer(const Dataset& data, engine::Split split);

}  // namespace capstan::sasrec
