#pragma once
// What the tests of the task share: session files, the task with a GRU on them, training without the command line, and the deterministic
// weights of the hand-checked examples.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/models/gru4rec.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/train/optimizer.h"
#include "recipes/engine/train/step.h"
#include "recipes/tasks/next_event/task.h"
#include "tests/data/scratch.h"

namespace capstan::next_event {

using SessionLists = std::vector<std::vector<int>>;

/// The form "lines": one session a line.
inline std::string lines(const SessionLists& sessions) {
  std::string out;
  for (const auto& s : sessions) {
    for (std::size_t i = 0; i < s.size(); ++i) out += (i > 0 ? " " : "") + std::to_string(s[i]);
    out += '\n';
  }
  return out;
}

/// The sessions of the hand-checked iterator example.
inline const SessionLists kExample{{1, 2, 3}, {4, 5}, {2, 6, 1, 3}, {5, 1}, {3, 4, 2}};

/// det(s, i, j) in -0.5 .. 0.5
inline double det(int s, int i, int j) {
  return ((131 * s + 37 * i * i + 31 * i + 53 * j * j + 17 * j + 7 * (i + 1) * (j + 2) * (s + 3)) % 101 - 50) / 100.0;
}

inline MakeNetwork gru_network(const nn::Gru4RecOptions& options) {
  return [options](const nn::Scope& scope, std::int64_t items) -> Network {
    const auto model = std::make_shared<const nn::Gru4Rec>(scope, items, options);
    return {.step = [model](const Tensor& inputs, nn::Hidden& hidden, const nn::Run& run) { return model->step(inputs, hidden, run); },
            .start = [model](std::int64_t slots) { return model->start(slots); },
            .scores = [model](const Tensor& output) { return model->scores(output); },
            .table = model->table(),
            .bias = model->bias()};
  };
}

struct Config : Options {
  nn::Gru4RecOptions model;
  engine::OptimizerOptions optimizer{.kind = engine::OptimizerKind::adagrad, .learning_rate = 0.05, .epsilon = 1e-6, .weight_decay = 0};
};

struct GruTask : Task {
  static constexpr std::string_view name = "gru";
  using Config = next_event::Config;
  GruTask(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope, gru_network(config.model)) {}
};

/// The task as the engine trains it.
class Learner : public engine::ErasedRecipe<GruTask> {
 public:
  Learner(const Config& config, const engine::Setup& for_setup)
      : ErasedRecipe(config, for_setup),
        rate_(config.optimizer.learning_rate),
        optimizer_(engine::make_optimizer(config.optimizer, parameters().parameters())) {}

  Task& task() { return recipe(); }
  const Network& network() { return recipe().network(); }
  const Dataset& dataset() { return recipe().dataset(); }
  optim::Optimizer& optimizer() { return *optimizer_; }
  double train(const engine::AnyBatch& batch, std::int64_t step) {
    return engine::train_step(*this, *optimizer_, std::span(&batch, 1), {.seed = setup().seed, .step = step}, rate_, 0).total();
  }
  /// One pass over the sessions; returns the losses. Steps go on from `step`.
  std::vector<double> train_epoch(std::int64_t epoch, std::int64_t& step) {
    std::vector<double> losses;
    begin_epoch(epoch);
    while (const auto batch = next_batch()) losses.push_back(train(*batch, step++));
    return losses;
  }
  std::vector<double> values(const std::string& parameter) { return parameters().find(parameter).value().to_vector(); }
  /// Every parameter and every piece of optimiser state, for comparison to the bit.
  std::vector<std::vector<double>> everything() {
    std::vector<std::vector<double>> out;
    for (const Parameter& p : parameters().parameters()) out.push_back(p.value().to_vector());
    for (const auto& s : optimizer_->state()) out.push_back(s.value.to_vector());
    return out;
  }

 private:
  double rate_;
  std::unique_ptr<optim::Optimizer> optimizer_;
};

struct NextEventTask : testing::Test {
  data::Scratch scratch;
  Config config;
  engine::Setup setup{.seed = 3, .batch_size = 3, .epochs = 1};

  NextEventTask() {
    config.data.table.form = recommendation::FileForm::lines;
    config.data.train = scratch.write("train.txt", lines(kExample));
    config.model.layers = {3};
    config.negatives.count = 4;
  }
};

}  // namespace capstan::next_event
