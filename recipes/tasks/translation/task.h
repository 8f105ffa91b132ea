#pragma once
// The task: translation from line-aligned texts, learned by a network that writes one sequence while it reads another (network.h). What a
// recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public translation::Task { ... : Task(config, setup, scope, [](scope, source_vocabulary, target_vocabulary) {...}) };
//
// vocabulary.h, dataset.h, batch.h, translator.h, evaluation.h and findings.h say what is computed. An item is a target token.

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

#include "recipes/engine/recipe.h"
#include "recipes/tasks/translation/batch.h"
#include "recipes/tasks/translation/dataset.h"
#include "recipes/tasks/translation/evaluation.h"
#include "recipes/tasks/translation/network.h"
#include "recipes/tasks/translation/options.h"
#include "recipes/tasks/translation/translator.h"
#include "recipes/tasks/translation/vocabulary.h"

namespace capstan::translation {

/// A line of predict.
struct Query {
  std::vector<std::int32_t> source;
  std::int64_t number = 0;
};

class Task {
 public:
  using Batch = translation::Batch;
  using Evaluation = translation::Evaluation;
  using Query = translation::Query;
  static constexpr std::string_view metric = "loss";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  std::int64_t batches_per_epoch() const;
  void begin_epoch(std::int64_t epoch);
  std::optional<Batch> next_batch();
  engine::NamedTensors state() const;
  void set_state(const engine::NamedTensors& state);
  std::int64_t items(const Batch& batch) const { return batch.target_tokens(); }

  std::optional<Batch> part(const Batch& batch, const engine::Part& part) const { return part_of(batch, part); }

  std::array<double, 1> loss_counts(const Batch& batch) const { return {static_cast<double>(batch.target_tokens())}; }
  Tensor loss(const Batch& batch, const nn::Run& run) const;

  std::function<std::optional<Batch>()> evaluation_batches(engine::Split split) const;
  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { evaluate_batch(network_, batch, to, run); }
  /// Translates the examples, and writes evaluate.output.
  void evaluated(engine::Split split, Evaluation& evaluation) const;
  engine::Metrics baselines(engine::Split split) const { return translation::baselines(dataset(), split); }
  std::string protocol(engine::Split split) const;

  Query query(const std::string& line, std::int64_t number) const;
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run);

  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const { return data_ ? data_->report() : data::DataReport{}; }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;
  /// decode: tokens written a second, greedily and by four beams, to one line and to 32 side by side.
  std::string bench_of(std::string_view what) const;

 private:
  const Dataset& dataset() const;
  std::int64_t bench_pairs() const;
  /// How much of each piece of a source is taken for each piece that was written, or would be.
  engine::FindingMatrix attention(const std::vector<std::int32_t>& read, std::span<const std::int64_t> written) const;
  engine::FindingMatrix attention(const std::vector<std::int32_t>& source, std::int64_t number) const;
  /// The source's tokens against those of the translation.
  void draw(const Query& query, const Translation& translation) const;

  Options options_;
  engine::Setup setup_;
  std::optional<Vocabularies> vocabularies_;  // none for bench
  std::unique_ptr<Dataset> data_;             // none for bench and predict
  Network network_;
  BatchList batches_;  // of the epoch
  std::int64_t position_ = 0, epoch_ = 0;
  std::unique_ptr<Translator> translator_;  // of predict, made for its first lines
};

}  // namespace capstan::translation
