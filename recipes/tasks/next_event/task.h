#pragma once
// The task: the next event of a session, learned by a recurrent network (network.h) from sessions side by side, one event of each a step.
// The hidden rows that a step leaves go into the next one, so batches follow from each other. What a recipe of a model needs beside it is
// the model's section of the configuration and a name:
//
//     class Mine : public next_event::Task { ... : Task(config, setup, scope, [](const nn::Scope&, std::int64_t items) {...}) };
//
// dataset.h, batch.h, negatives.h, evaluation.h and recommend.h say what is computed.

#include <array>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sessions.h"
#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_event/batch.h"
#include "recipes/tasks/next_event/dataset.h"
#include "recipes/tasks/next_event/evaluation.h"
#include "recipes/tasks/next_event/negatives.h"
#include "recipes/tasks/next_event/network.h"
#include "recipes/tasks/next_event/options.h"
#include "recipes/tasks/next_event/recommend.h"

namespace capstan::next_event {

class Task {
 public:
  using Batch = next_event::Batch;
  using Evaluation = next_event::Evaluation;
  using Query = next_event::Query;
  static constexpr std::string_view metric = "mrr@20";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// Exact, as it is a matter of the sessions alone.
  std::int64_t batches_per_epoch() const { return steps_per_epoch_; }
  void begin_epoch(std::int64_t epoch);
  std::optional<Batch> next_batch();
  /// Where in the epoch training stands, and the hidden rows that the last step has left.
  engine::NamedTensors state() const;
  void set_state(const engine::NamedTensors& state);
  std::int64_t items(const Batch& batch) const { return batch.size(); }

  /// Some slots of a step, to be ranked against the same candidates.
  std::optional<Batch> part(const Batch& batch, const engine::Part& part) const { return part_of(batch, part); }
  /// The hidden rows that the parts of a step have left, made those of the whole step.
  void share_rows(const std::function<Tensor(const Tensor& mine)>& all);

  /// The divisor is the configured batch size, also when fewer slots are left; that of the parts of a step adds up to it.
  std::array<double, 1> loss_counts(const Batch& batch) const;
  /// After a whole step its hidden rows are those that the next one starts from; those of parts wait for share_rows.
  Tensor loss(const Batch& batch, nn::Run run);
  /// update.from: takes the rows of that checkpoint into the parameters and the optimiser. Throws CheckpointError if it holds another model
  /// or the state of another optimiser.
  void initialize(nn::ParameterStore& parameters, optim::Optimizer& optimizer) const;

  std::function<std::optional<Batch>()> evaluation_batches(engine::Split split) const;
  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const;
  /// Writes evaluate.output.
  void evaluated(engine::Split split, Evaluation evaluation) const;
  engine::Metrics baselines(engine::Split split) const;

  Query query(const std::string& line, std::int64_t number) const { return recommender_->read(line, number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run);

  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const;
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

  const Network& network() const { return network_; }
  const Dataset& dataset() const;

 private:
  /// What is recommended before the last event of some sessions.
  std::vector<recommendation::ShownList> lists(const Sessions& sessions) const;

  Options options_;
  engine::Setup setup_;
  std::unique_ptr<Dataset> data_;                  // none for bench and predict
  std::shared_ptr<const data::IdMap> item_names_;  // none for bench
  std::vector<std::int64_t> support_;
  Network network_;
  std::optional<Negatives> negatives_;
  std::optional<data::SessionBatches> batches_;  // of training
  std::int64_t steps_per_epoch_ = 1, epoch_ = 0;
  nn::Hidden hidden_;                    // after the last training step; empty at the start of an epoch
  std::vector<nn::Hidden> part_hidden_;  // after the parts of a step so far
  std::shared_ptr<const recommendation::ItemTitles> titles_ = std::make_shared<recommendation::ItemTitles>();
  std::optional<Recommender> recommender_;
};

}  // namespace capstan::next_event
