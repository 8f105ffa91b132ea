#pragma once
// The task: the label of a text or of a pair of texts, or a number, learned by a network that scores token sequences (network.h). What a
// recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public text_classification::Task { ... : Task(config, setup, scope, [](scope, tokens, outputs) {...}) };
//
// encoded_texts.h, dataset.h, batch.h, evaluation.h, findings.h and predict.h say what is computed.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/tasks/text_classification/batch.h"
#include "recipes/tasks/text_classification/dataset.h"
#include "recipes/tasks/text_classification/evaluation.h"
#include "recipes/tasks/text_classification/length_order.h"
#include "recipes/tasks/text_classification/network.h"
#include "recipes/tasks/text_classification/options.h"
#include "recipes/tasks/text_classification/predict.h"

namespace capstan::text_classification {

class Task {
 public:
  using Batch = text_classification::Batch;
  using Evaluation = text_classification::Evaluation;
  using Query = text_classification::Query;
  /// Of a classification; of a regression the first one, pearson. train.metric chooses another.
  static constexpr std::string_view metric = "accuracy";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make, const Reading& reading = {});

  std::int64_t size(engine::Split split) const { return dataset().size(split); }
  Batch batch(const engine::Samples& samples) const;
  /// Of batches of like lengths where the network pads.
  std::optional<std::vector<std::int64_t>> order(std::int64_t epoch, std::int64_t first, std::int64_t count) const;

  /// Cross-entropy with the weights of the classes, divided by the sum of the weights; or squared errors.
  Tensor loss(const Batch& batch, nn::Run run) const;
  std::array<double, 1> loss_counts(const Batch& batch) const;

  /// Throws ConfigError where a file of results is wanted that the part has no labels for.
  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { to.add(batch, network_.logits(batch.tokens, run)); }
  /// Writes evaluate.output, results and confusion.
  void evaluated(engine::Split split, Evaluation& evaluation) const;
  engine::Metrics baselines(engine::Split split) const { return text_classification::baselines(dataset(), split); }
  std::string protocol(engine::Split split) const;

  Query query(const std::string& line, std::int64_t number) const { return read_query(*encoder_, line, number, options_.pairs()); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const {
    return answers_of(logits(queries, run), class_names_, setup_.json_answers);
  }
  /// Probabilities of the classes in their order, or the number.
  std::int64_t row_width() const { return outputs(); }
  Tensor answer_rows(std::span<const Query> queries, const nn::Run& run) const;

  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const;
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 protected:
  /// Null for bench.
  const data::Vocabulary* vocabulary() const { return vocabulary_.get(); }
  const Network& text_network() const { return network_; }
  text::TokenBatch token_batch(std::span<const Query> queries) const;

 private:
  const Dataset& dataset() const;
  std::int64_t outputs() const;
  ShownTexts::Looked look(engine::Split split, std::int64_t place) const;
  Tensor logits(std::span<const Query> queries, const nn::Run& run) const;  // [queries, outputs]

  Options options_;
  engine::Setup setup_;
  std::shared_ptr<const data::Vocabulary> vocabulary_;  // none for bench
  data::TokenizerOptions tokenizer_;
  std::optional<WordKeys> learned_;       // what the vocabulary was learned with in this run
  std::optional<Encoder> encoder_;        // none for bench
  std::vector<std::string> class_names_;  // none of a regression and for bench
  LabelCounts training_counts_;
  std::unique_ptr<Dataset> data_;       // none for bench and predict
  std::vector<float> class_weights_;    // empty: all the same
  std::unique_ptr<LengthOrder> order_;  // where the network pads
  Network network_;
};

}  // namespace capstan::text_classification
