#pragma once
// Evaluation: where the next item of each user ranks, under protocols whose name is part of every number.
//
//   sampled<N>       among N drawn items (once per case and run.seed; the same in every evaluation) and the target
//   full_filtered    among all items except those of the user's history before the target: the literature's full ranking
//   full_unfiltered  among all items
//
// Numbers of different protocols must not be compared: sampled ones are three to four times as high as full ones.
// Ranks are tie-aware (median place), so constant scores rank in the middle; a NaN score is a NumericalError. The target itself is
// always a candidate, also if it occurs in the history.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/rng.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_item/dataset.h"
#include "recipes/tasks/next_item/options.h"
#include "recipes/tasks/recommendation/findings.h"

namespace capstan::next_item {

/// Where the target of a case ranked; 0: under this protocol it was not.
struct CaseRanks {
  Case of;
  double sampled = 0, filtered = 0, unfiltered = 0;
};

/// The ranks of a case under the protocols that are on.
struct Ranked {
  std::optional<engine::Rank> sampled, filtered, unfiltered;
  /// Under the first of full_filtered, full_unfiltered and sampled that is on.
  double shown() const { return (filtered ? *filtered : unfiltered ? *unfiltered : sampled.value()).at(engine::Ties::median); }
};

/// Those of all cases.
struct Evaluation {
  std::optional<engine::RankMetrics> sampled, filtered, unfiltered;
  std::vector<CaseRanks> cases = {};  ///< with evaluate.output
  std::optional<recommendation::ShownRecommendations> shown = {};
  std::vector<engine::Accumulator*> accumulators();
  std::vector<engine::Finding> findings() const { return shown ? shown->findings() : std::vector<engine::Finding>(); }
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
};

/// Scores all items for some cases: scores[i * (item_count + 1) + item], entry 0 of a row is not read.
using Scorer = std::function<void(std::span<const Case> cases, std::span<float> scores)>;

class Protocols {
 public:
  /// Only the users named in `only` are evaluated (empty: all). Throws ConfigError for unknown metric names, DataError if there is no case,
  /// or items to draw are too few.
  Protocols(const Dataset& data, const EvaluateOptions& options, std::uint64_t seed, const data::IdMap& only = {});

  /// Those that are evaluated.
  std::span<const Case> cases(engine::Split split) const { return split == engine::Split::validation ? validation_ : test_; }
  /// Nothing ranked yet; names after `prefix` ("popularity/").
  Evaluation start(std::string_view prefix = {}) const;
  /// Ranks the target of a case by a row of scores [item_count + 1].
  void add(Evaluation& to, const Case& c, std::span<const float> scores) const;

  /// The same without counting it.
  Ranked rank(const Case& c, std::span<const float> scores) const;

  /// In words, what Ranked::shown() is taken among.
  std::string shown_among() const;
  /// What is recommended in a case by a row of scores, which it may change: without the items of the history if full_filtered is on, but
  /// for the target.
  recommendation::ShownList list(const Case& c, std::span<float> scores) const;

  /// All cases through a scorer that is no network.
  engine::Metrics run(engine::Split split, const Scorer& scorer, std::string_view prefix = {}) const;
  /// Popularity and a first-order Markov chain of the training items ("popularity/", "markov/"), and for synthetic data the best that
  /// any model can reach on average ("optimum/"). Nothing without training items.
  engine::Metrics baselines(engine::Split split) const;
  /// The protocols in words, one line each.
  std::string text(engine::Split split) const;

  /// The negatives of the sampled protocol.
  std::vector<std::int32_t> negatives(const Case& c) const;
  /// The ranks of cases as a table: a header, then a line each.
  std::string table(std::span<const CaseRanks> cases) const;

 private:
  void check_negatives() const;
  std::vector<std::int32_t> draw_popular(Rng& rng, std::span<const std::int32_t> excluded) const;

  const Dataset& data_;
  EvaluateOptions options_;
  std::uint64_t seed_;
  std::vector<Case> validation_, test_;
  std::vector<double> popular_;  // negatives = popularity: sums of the training events up to each model id
};

/// Scores every item by its number of training interactions.
Scorer popularity_scorer(const Dataset& data);
/// Scores every item by how often it followed the user's newest item in training; popularity decides among equals.
Scorer markov_scorer(const Dataset& data);

}  // namespace capstan::next_item
