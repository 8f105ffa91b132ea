#pragma once
// The task: going on with a text, learned from a text by a network that predicts each token from those before it (network.h). What a
// recipe of a model needs beside it is the model's section of the configuration and a name:
//
//     class Mine : public language_modelling::Task { ... : Task(config, setup, scope, [](scope, vocabulary) {...}) };
//
// vocabulary.h, dataset.h, windows.h, batch.h, evaluation.h, findings.h and writer.h say what is computed. A sample is a window, an item a
// token.

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
#include "recipes/tasks/language_modelling/batch.h"
#include "recipes/tasks/language_modelling/dataset.h"
#include "recipes/tasks/language_modelling/evaluation.h"
#include "recipes/tasks/language_modelling/network.h"
#include "recipes/tasks/language_modelling/options.h"
#include "recipes/tasks/language_modelling/windows.h"
#include "recipes/tasks/language_modelling/writer.h"

namespace capstan::language_modelling {

class Task {
 public:
  using Batch = language_modelling::Batch;
  using Evaluation = language_modelling::Evaluation;
  using Query = Prompt;  ///< a line of predict
  static constexpr std::string_view metric = "loss";

  Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  /// Windows.
  std::int64_t size(engine::Split split) const;
  Batch batch(const engine::Samples& samples) const;
  std::int64_t items(const Batch& batch) const { return batch.tokens(); }

  std::array<double, 1> loss_counts(const Batch& batch) const { return {static_cast<double>(batch.tokens())}; }
  Tensor loss(const Batch& batch, const nn::Run& run) const;

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { evaluate_batch(network_, batch, to, run); }
  /// Writes the examples.
  void evaluated(engine::Split split, Evaluation& evaluation) const;
  engine::Metrics baselines(engine::Split split) const { return language_modelling::baselines(dataset(), split); }
  std::string protocol(engine::Split split) const;

  Query query(const std::string& line, std::int64_t number);
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run);
  /// Writes what follows the prompt, behind the prompt itself unless generation.echo is off.
  void generate(const std::string& prompt, const std::function<bool(std::string_view text)>& write) const;

  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const { return data_ ? data_->report() : data::DataReport{}; }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;
  /// decode: tokens written a second, to one line and to 32 side by side.
  std::string bench_of(std::string_view what) const;

 private:
  const Dataset& dataset() const;
  Writer& writer();
  /// Keys and values of a token, while text is written.
  std::int64_t cache_bytes() const { return network_.cache_numbers * static_cast<std::int64_t>(size_of(options_.generation.cache)); }

  Options options_;
  engine::Setup setup_;
  SharedVocabulary vocabulary_;             // none for bench
  std::unique_ptr<Dataset> data_;           // none for bench and predict
  std::optional<TrainingWindows> windows_;  // of training
  std::array<std::optional<SlidingWindows>, 3> evaluation_windows_;
  Network network_;
  std::unique_ptr<Writer> writer_;  // of predict, made for its first line
};

}  // namespace capstan::language_modelling
