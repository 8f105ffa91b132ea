#pragma once
// BERT pretraining as a recipe of the engine (recipes/engine/recipe.h). README.md says how to use it; model.h, prepare.h, dataset.h,
// evaluation.h and predict.h say what it computes.

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/text/vocabulary.h"
#include "nn/parameter_store.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "recipes/bert/batch.h"
#include "recipes/bert/dataset.h"
#include "recipes/bert/model.h"
#include "recipes/bert/options.h"
#include "recipes/engine/recipe.h"

namespace capstan::bert {

/// The course of the learning rate over `total` steps. Throws ConfigError if the warm-up does not end before them.
optim::Schedule make_schedule(const OptimizerOptions& options, std::int64_t total);

class Bert {
 public:
  static constexpr std::string_view name = "bert";
  static constexpr std::array<std::string_view, 2> loss_terms{"masked_lm_loss", "next_sentence_loss"};
  static constexpr engine::Selection selection{"masked_lm_loss", engine::Goal::minimize};
  using Config = bert::Config;
  using Batch = bert::Batch;

  Bert(const Config& config, const engine::Setup& setup);

  nn::ParameterStore& parameters() { return store_; }
  optim::BertAdam& optimizer() { return *optimizer_; }
  double learning_rate(std::int64_t step) const { return schedule_(step); }

  std::int64_t batches_per_epoch() const;
  Batch make_batch(std::int64_t epoch, std::int64_t index) const;
  engine::LossCounts<Bert> loss_counts(const Batch& batch) const;
  engine::LossSums<Bert> loss(const Batch& batch, nn::Run run);
  std::int64_t items(const Batch& batch) const { return batch.sequences; }

  engine::Metrics evaluate(engine::Split split);
  std::string protocol(engine::Split split);
  void predict(std::istream& in, std::ostream& out);
  static void prepare(const Config& config, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index);
  double flops_per_step() const;
  double items_per_step() const { return static_cast<double>(setup_.batch_size * setup_.batches_per_step); }

  const Model& model() const { return *model_; }
  const Dataset& dataset() const;

 private:
  std::int64_t vocab_size() const { return vocabulary_ ? vocabulary_->size() : config_.bench.vocab_size; }
  const std::vector<data::Instance>& held_out(engine::Split split);

  Config config_;
  engine::Setup setup_;
  std::unique_ptr<Dataset> data_;                       // none for bench and predict
  std::shared_ptr<const data::Vocabulary> vocabulary_;  // none for bench
  data::TokenizerOptions tokenizer_;
  std::int32_t pad_id_ = 0;
  nn::ParameterStore store_;
  std::optional<Model> model_;
  std::optional<optim::BertAdam> optimizer_;
  optim::Schedule schedule_;
  std::array<std::optional<std::vector<data::Instance>>, 2> held_out_;  // by split
};

}  // namespace capstan::bert
