#pragma once
// The task: answering questions by a span of a text, as SQuAD asks them, for a network that scores each token to begin and to end an answer
// (network.h). What a recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public span_extraction::Task { ... : Task(config, setup, scope, [](const nn::Scope&, std::int64_t vocab_size) {...}) };
//
// A sample is a window of a context beside its question. dataset.h, questions.h, document.h, batch.h, decode.h, scorer.h, evaluation.h,
// findings.h and predict.h say what is computed.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/tasks/span_extraction/batch.h"
#include "recipes/tasks/span_extraction/dataset.h"
#include "recipes/tasks/span_extraction/evaluation.h"
#include "recipes/tasks/span_extraction/network.h"
#include "recipes/tasks/span_extraction/options.h"
#include "recipes/tasks/span_extraction/predict.h"
#include "recipes/tasks/text/vocabulary.h"

namespace capstan::span_extraction {

class Task {
 public:
  using Batch = span_extraction::Batch;
  using Evaluation = span_extraction::Evaluation;
  using Query = span_extraction::Query;
  static constexpr std::string_view metric = "f1";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  std::int64_t size(engine::Split split) const { return dataset().part(split).size(); }
  Batch batch(const engine::Samples& samples) const;
  Tensor loss(const Batch& batch, const nn::Run& run) const { return loss_sum(network_, batch, run); }

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const {
    to.add(batch.indices, window_logits(network_, batch, run));
  }
  /// Writes the files of evaluate.output.
  void evaluated(engine::Split split, const Evaluation& evaluation) const;
  std::string protocol(engine::Split split) const;

  Query query(std::string line, std::int64_t number) const { return predictor_->read(std::move(line), number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const { return predictor_->answer(queries, run); }

  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const {
    return {{.what = "tokens", .names = text::tokens_of, .parameters = network_.token_parameters}};
  }
  data::DataReport data_report() const { return data_ ? data_->report() : data::DataReport{}; }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 private:
  void set_tokenizer();
  const Dataset& dataset() const;
  bool writes_predictions() const { return setup_.purpose == engine::Purpose::evaluate && !options_.evaluate.output.empty(); }
  std::int64_t vocab_size() const { return vocabulary_ ? vocabulary_->size() : options_.bench.vocab_size; }
  Decoder decoder() const { return {vocabulary_.get(), basic_.get(), options_.decoding(unanswerable_)}; }

  Options options_;
  engine::Setup setup_;
  std::shared_ptr<const data::Vocabulary> vocabulary_;  // none for bench
  data::TokenizerOptions tokenizer_options_;
  std::unique_ptr<const data::Tokenizer> tokenizer_;
  std::unique_ptr<const data::BasicTokenizer> basic_;
  bool unanswerable_ = false;
  std::unique_ptr<const Dataset> data_;  // none for bench and predict
  Network network_;
  std::optional<Predictor> predictor_;  // for predict
};

}  // namespace capstan::span_extraction
