#pragma once
// What the program tests of all recipes share: `capstan` in process with one recipe, in a scratch directory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "recipes/engine/command/command_line.h"
#include "tests/data/scratch.h"

namespace capstan::engine::test {

/// The content of a file.
std::string text_of(const std::string& path);

struct RecipeProgram : testing::Test {
  using Arguments = std::vector<std::string>;

  /// `configuration`: a file; empty: the recipe's quickstart.cfg.
  explicit RecipeProgram(const RecipeEntry& entry, const std::string& configuration = {});

  const RecipeEntry recipe;
  data::Scratch scratch;
  std::ostringstream out, err;
  const std::string folder, config;

  static Arguments joined(Arguments a, const Arguments& b);
  /// Runs `capstan ARGUMENTS`; returns the exit code.
  int capstan(const Arguments& arguments, const std::string& input = {});
  /// Trains `config` with these settings in scratch / run.
  int train_quickstart(const std::string& run, const Arguments& settings);
  /// `train --check` passes for every .cfg of the recipe, with these settings; `seen` gets what it printed. Fails below `least` files.
  void check_every_configuration(std::size_t least, const Arguments& settings,
                                 const std::function<void(const std::string& name)>& seen = {});
  /// The newest checkpoint of a run.
  std::string checkpoint(const std::string& run) const;
  /// Everything in a checkpoint that the next step depends on: parameters, state of the optimiser and of the recipe.
  static std::map<std::string, std::vector<double>> tensors(const std::string& path);
  /// A metric that the last command printed.
  double metric(const std::string& name) const;

  struct Proof {
    Arguments settings;           ///< of a small run; run.threads must be 1
    int steps = 20;               ///< optimiser steps of the whole run
    std::vector<int> stops = {};  ///< where runs stop and are resumed, one run each
    /// What the first of them goes on with: settings that change no number.
    Arguments changed = {"train.checkpoint_activations=yes"};
    std::string split = "test";  ///< that can be evaluated
    std::string input = {};      ///< lines for predict; empty: it is left out
    Arguments use = {};          ///< further settings of evaluate and predict
    std::string name = "run";    ///< of the directories of the runs
  };
  /// What the engine promises of every recipe: a run that is stopped and resumed, or killed and resumed, ends with the tensors of the
  /// uninterrupted one; its checkpoint evaluates, twice alike; and predict answers every line with
  /// one line.
  void prove(const Proof& proof);
};

}  // namespace capstan::engine::test
