#pragma once
// What the tests of GRU4Rec share: session files, a recipe on them, training without the command line, and the deterministic
// weights of the hand-checked examples.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/engine/train/step.h"
#include "recipes/gru4rec/recipe.h"
#include "tests/data/scratch.h"

namespace capstan::gru4rec {

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

struct RecipeTest : testing::Test {
  data::Scratch scratch;
  Config config;
  engine::Setup setup{.seed = 3, .batch_size = 3, .epochs = 1};

  RecipeTest() {
    config.data.form = FileForm::lines;
    config.data.train = scratch.write("train.txt", lines(kExample));
    config.model.layers = {3};
    config.negatives.count = 4;
  }

  /// One pass over the sessions; returns the losses. Steps go on from `step`.
  std::vector<double> train_epoch(Gru4Rec& recipe, std::int64_t epoch, std::int64_t& step) const {
    std::vector<double> losses;
    recipe.begin_epoch(epoch);
    while (auto batch = recipe.next_batch()) losses.push_back(train_batch(recipe, *batch, step++));
    return losses;
  }
  double train_batch(Gru4Rec& recipe, const Batch& batch, std::int64_t step) const {
    return engine::train_step(recipe, std::span(&batch, 1), {.seed = setup.seed, .step = step}, recipe.learning_rate(step), 0).total();
  }
};

inline std::vector<double> values(Gru4Rec& recipe, const std::string& parameter) {
  return recipe.parameters().find(parameter).value().to_vector();
}

/// Every parameter and every piece of optimiser state, for comparison to the bit.
inline std::vector<std::vector<double>> everything(Gru4Rec& recipe) {
  std::vector<std::vector<double>> out;
  for (const Parameter& p : recipe.parameters().parameters()) out.push_back(p.value().to_vector());
  for (const auto& s : recipe.optimizer().state()) out.push_back(s.value.to_vector());
  return out;
}

}  // namespace capstan::gru4rec
