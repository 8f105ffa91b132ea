#pragma once
// The task: the next item of a user, from the sequence of items before it, learned by a network that reads whole sequences (network.h).
// What a recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public next_item::Task { ... : Task(config.task, setup, scope, [](const nn::Scope&, std::int64_t items) {...}) };
//
// dataset.h, batch.h, losses.h, evaluation.h and recommend.h say what is computed.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_item/batch.h"
#include "recipes/tasks/next_item/dataset.h"
#include "recipes/tasks/next_item/evaluation.h"
#include "recipes/tasks/next_item/network.h"
#include "recipes/tasks/next_item/options.h"
#include "recipes/tasks/next_item/recommend.h"

namespace capstan::next_item {

class Task {
 public:
  using Batch = next_item::Batch;
  using Evaluation = next_item::Evaluation;
  using Query = next_item::Query;
  static constexpr std::string_view metric = "full_filtered/ndcg@10";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  std::int64_t size(engine::Split split) const;
  std::int64_t samples_per_epoch() const;
  std::optional<std::vector<std::int64_t>> order(std::int64_t epoch, std::int64_t first, std::int64_t count) const;
  Batch batch(const engine::Samples& samples) const;
  std::int64_t items(const Batch& batch) const { return batch.layout.sequences; }

  std::array<double, 1> loss_counts(const Batch& batch) const { return {static_cast<double>(batch.layout.real_tokens())}; }
  Tensor loss(const Batch& batch, nn::Run run) const;

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const;
  /// Writes evaluate.output.
  void evaluated(engine::Split split, const Evaluation& evaluation) const;
  engine::Metrics baselines(engine::Split split) const { return protocols().baselines(split); }
  std::string protocol(engine::Split split) const { return protocols().text(split); }

  Query query(const std::string& line, std::int64_t number) const { return recommender_->read(line, number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const;

  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const;
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 private:
  const Dataset& dataset() const;
  const Protocols& protocols() const;
  /// Calls f with the cases of a batch and their scores of all items, [items + 1], which it may change.
  void score(const Batch& batch, const nn::Run& run, const std::function<void(const Case& c, std::span<float> scores)>& f) const;
  /// What is recommended in some cases of a split.
  std::vector<recommendation::ShownList> lists(engine::Split split) const;

  Options options_;
  engine::Setup setup_;
  std::unique_ptr<Dataset> data_;                  // none for bench and for predict from sequences
  std::shared_ptr<const data::IdMap> item_names_;  // of the checkpoint, for predict
  Network network_;
  std::vector<TrainingWindow> windows_;  // to learn from
  std::optional<Protocols> protocols_;
  std::int64_t listed_users_ = 0;  // in evaluate.user_list
  std::shared_ptr<const recommendation::ItemTitles> titles_ = std::make_shared<recommendation::ItemTitles>();
  std::optional<Recommender> recommender_;
};

}  // namespace capstan::next_item
