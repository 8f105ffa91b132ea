#pragma once
// GRU4Rec as a recipe of the engine (recipes/engine/recipe.h). README.md says how to use it; model.h, negatives.h, dataset.h and
// evaluation.h say what it computes.

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sessions.h"
#include "nn/parameter_store.h"
#include "optim/adagrad.h"
#include "recipes/engine/recipe.h"
#include "recipes/gru4rec/dataset.h"
#include "recipes/gru4rec/evaluation.h"
#include "recipes/gru4rec/model.h"
#include "recipes/gru4rec/negatives.h"
#include "recipes/gru4rec/options.h"

namespace capstan::gru4rec {

/// One step of M slots. What the hidden rows of the step before go through first stands in kept and reset (data/sessions.h).
struct Batch {
  Tensor inputs;                     ///< i64 [M]
  Negatives::Candidates candidates;  ///< [M + negatives]
  std::vector<std::int32_t> kept;
  std::vector<std::uint8_t> reset;
};

class Gru4Rec {
 public:
  static constexpr std::string_view name = "gru4rec";
  static constexpr std::array<std::string_view, 1> loss_terms{"loss"};
  static constexpr engine::Selection selection{"mrr@20", engine::Goal::maximize};
  using Config = gru4rec::Config;
  using Batch = gru4rec::Batch;

  Gru4Rec(const Config& config, const engine::Setup& setup);

  nn::ParameterStore& parameters() { return store_; }
  optim::Adagrad& optimizer() { return *optimizer_; }
  double learning_rate(std::int64_t) const { return config_.optimizer.learning_rate; }

  /// Steps of an epoch: exact, as it is a matter of the sessions alone.
  std::int64_t batches_per_epoch() const { return steps_per_epoch_; }
  /// The divisor is the configured batch size, also when fewer slots are left.
  engine::LossCounts<Gru4Rec> loss_counts(const Batch&) const { return {static_cast<double>(setup_.batch_size)}; }
  engine::LossSums<Gru4Rec> loss(const Batch& batch, const nn::Run& run);
  std::int64_t items(const Batch& batch) const { return batch.inputs.numel(); }

  void begin_epoch(std::int64_t epoch);
  std::optional<Batch> next_batch();
  /// Where in the epoch training stands, and the hidden rows that the last step has left.
  engine::NamedTensors state() const;
  void set_state(const engine::NamedTensors& state);

  engine::Metrics evaluate(engine::Split split);
  void predict(std::istream& in, std::ostream& out);
  static void prepare(const Config& config, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::string data_digest() const;

  Batch bench_batch(std::int64_t index);
  double flops_per_step() const;
  double items_per_step() const { return static_cast<double>(setup_.batch_size * setup_.batches_per_step); }

  const Model& model() const { return *model_; }
  const Dataset& dataset() const;

 private:
  /// Copies the rows of the checkpoint update.from into the parameters and the optimiser.
  void take_over();

  Config config_;
  engine::Setup setup_;
  std::unique_ptr<Dataset> data_;                  // none for bench and predict
  std::shared_ptr<const data::IdMap> item_names_;  // none for bench
  std::vector<std::int64_t> support_;
  nn::ParameterStore store_;
  std::optional<Model> model_;
  std::optional<optim::Adagrad> optimizer_;
  std::optional<Negatives> negatives_;
  std::optional<data::SessionBatches> batches_;
  std::int64_t steps_per_epoch_ = 1, epoch_ = 0;
  Hidden hidden_;  // after the last training step; empty at the start of an epoch
  std::optional<Baselines> baselines_;
  std::array<std::optional<engine::Metrics>, 2> baseline_metrics_;  // by split; they never change
};

}  // namespace capstan::gru4rec
