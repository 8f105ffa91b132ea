#pragma once
// SASRec as a recipe of the engine (recipes/engine/recipe.h). README.md says how to use it; model.h, dataset.h, losses.h and
// evaluation.h say what it computes.

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "nn/parameter_store.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "recipes/engine/recipe.h"
#include "recipes/sasrec/batch.h"
#include "recipes/sasrec/dataset.h"
#include "recipes/sasrec/evaluation.h"
#include "recipes/sasrec/model.h"
#include "recipes/sasrec/options.h"

namespace capstan::sasrec {

class Sasrec {
 public:
  static constexpr std::string_view name = "sasrec";
  static constexpr std::array<std::string_view, 1> loss_terms{"loss"};
  static constexpr engine::Selection selection{"full_filtered/ndcg@10", engine::Goal::maximize};
  using Config = sasrec::Config;
  using Batch = sasrec::Batch;

  Sasrec(const Config& config, const engine::Setup& setup);

  nn::ParameterStore& parameters() { return store_; }
  optim::Adam& optimizer() { return *optimizer_; }
  double learning_rate(std::int64_t step) const { return schedule_(step); }

  std::int64_t batches_per_epoch() const;
  Batch make_batch(std::int64_t epoch, std::int64_t index) const;
  engine::LossCounts<Sasrec> loss_counts(const Batch& batch) const { return {static_cast<double>(batch.real_tokens())}; }
  engine::LossSums<Sasrec> loss(const Batch& batch, nn::Run run);
  std::int64_t items(const Batch& batch) const { return batch.sequences; }

  engine::Metrics evaluate(engine::Split split);
  std::string protocol(engine::Split split) { return evaluator().protocols(split); }
  void predict(std::istream& in, std::ostream& out);
  static void prepare(const Config& config, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::string data_digest() const;

  Batch bench_batch(std::int64_t index);
  double flops_per_step() const;
  double items_per_step() const { return static_cast<double>(setup_.batch_size * setup_.batches_per_step); }

 private:
  std::int64_t item_count() const;
  const Dataset& dataset() const;
  const Evaluator& evaluator();
  /// Scores of all items after each sequence, f32 [sequences, item_count + 1].
  void score(std::span<const std::span<const std::int32_t>> sequences, std::span<float> scores) const;

  Config config_;
  engine::Setup setup_;
  std::unique_ptr<Dataset> data_;                  // none for bench and for predict from sequences
  std::shared_ptr<const data::IdMap> item_names_;  // of the checkpoint, for predict
  nn::ParameterStore store_;
  std::optional<Model> model_;
  std::optional<optim::Adam> optimizer_;
  optim::Schedule schedule_;
  std::optional<Evaluator> evaluator_;
  std::array<std::optional<engine::Metrics>, 2> baselines_;  // by split; they never change
};

}  // namespace capstan::sasrec
