#pragma once
// The task: pretraining on masked tokens and pairs of sentences from raw text, for a network that encodes tokens in both directions
// (network.h). What a recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public masked_lm::Task { ... : Task(config, setup, scope, [](const nn::Scope&, std::int64_t vocab_size) {...}) };
//
// prepare.h, dataset.h, batch.h, losses.h, evaluation.h, findings.h and predict.h say what is computed.

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/tasks/masked_lm/batch.h"
#include "recipes/tasks/masked_lm/dataset.h"
#include "recipes/tasks/masked_lm/evaluation.h"
#include "recipes/tasks/masked_lm/network.h"
#include "recipes/tasks/masked_lm/options.h"
#include "recipes/tasks/masked_lm/predict.h"
#include "recipes/tasks/text/vocabulary.h"

namespace capstan::masked_lm {

class Task {
 public:
  using Batch = masked_lm::Batch;
  using Evaluation = masked_lm::Evaluation;
  using Query = masked_lm::Query;
  static constexpr std::array<std::string_view, 2> loss_terms{"masked_lm_loss", "next_sentence_loss"};
  static constexpr std::string_view metric = "masked_lm_loss";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  std::int64_t size(engine::Split split) const { return dataset().size(split); }
  /// Whole steps: a last one with few instances would weigh as much as the others.
  std::int64_t samples_per_epoch() const;
  Batch batch(const engine::Samples& samples) const;

  std::array<double, 2> loss_counts(const Batch& batch) const;
  std::array<Tensor, 2> loss(const Batch& batch, nn::Run run) const;

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { evaluate_batch(network_, batch, to, run); }
  engine::Metrics baselines(engine::Split split) const;
  std::string protocol(engine::Split split) const;

  Query query(std::string line, std::int64_t number) const { return predictor_->read(std::move(line), number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const { return predictor_->answer(queries, run); }
  std::int64_t row_width() const { return predictor_->row_width(); }
  Tensor answer_rows(std::span<const Query> queries, const nn::Run& run) const { return predictor_->rows(queries, run); }

  std::vector<std::string> unread_by_answers() const;

  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const { return text::vocabulary_artifacts(*vocabulary_, tokenizer_); }
  std::vector<engine::NamedRows> named_rows() const {
    return {{.what = "tokens", .names = text::tokens_of, .parameters = network_.token_parameters}};
  }
  data::DataReport data_report() const { return data_ ? data_->report(options_.data, options_.instances) : data::DataReport{}; }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 private:
  const Dataset& dataset() const;
  void open_data();
  /// Of the training text; counted once.
  const std::vector<std::int64_t>& token_counts() const;
  /// Of the tokens at the positions of an instance: f32 [positions, vocabulary].
  Tensor probabilities(const data::Instance& instance) const;
  std::int64_t most_predictions() const;
  std::int64_t vocab_size() const { return vocabulary_ ? vocabulary_->size() : options_.bench.vocab_size; }

  Options options_;
  engine::Setup setup_;
  std::shared_ptr<const data::Vocabulary> vocabulary_;  // none for bench
  data::TokenizerOptions tokenizer_;
  std::unique_ptr<Dataset> data_;  // none for bench and predict
  Network network_;
  std::optional<Predictor> predictor_;  // for predict
  mutable std::vector<std::int64_t> token_counts_;
};

}  // namespace capstan::masked_lm
