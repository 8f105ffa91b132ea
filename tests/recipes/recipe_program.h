#pragma once
// What the program tests of all recipes share: `capstan` in process with one recipe, in a scratch directory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/system.h"
#include "tests/data/scratch.h"

namespace capstan::engine::test {

struct RecipeProgram : testing::Test {
  using Arguments = std::vector<std::string>;

  explicit RecipeProgram(const RecipeEntry& entry) : recipe(entry) {}

  const RecipeEntry recipe;
  data::Scratch scratch;
  std::ostringstream out, err;
  const std::string folder = std::string(CAPSTAN_SOURCE_DIR "/recipes/").append(recipe.name), config = folder + "/quickstart.cfg";

  static Arguments joined(Arguments a, const Arguments& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  /// Runs `capstan ARGUMENTS`; returns the exit code.
  int capstan(const Arguments& arguments, const std::string& input = {}) {
    clear_stop_signal();
    out.str("");
    err.str("");
    std::istringstream in(input);
    return run_program(std::span(&recipe, 1), arguments, {.in = in, .out = out, .err = err, .progress_fd = -1});
  }
  /// Trains quickstart.cfg with these settings in scratch / run.
  int train_quickstart(const std::string& run, const Arguments& settings) {
    return capstan(joined({"train", config, "run.dir=" + scratch / run}, settings));
  }
  /// `train --check` passes for every .cfg of the recipe, with these settings; `seen` gets what it printed. Fails below `least` files.
  void check_every_configuration(std::size_t least, const Arguments& settings,
                                 const std::function<void(const std::string& name)>& seen = {}) {
    std::size_t count = 0;
    for (const auto& e : std::filesystem::directory_iterator(folder)) {
      if (e.path().extension() != ".cfg") continue;
      ++count;
      ASSERT_EQ(capstan(joined({"train", e.path().string(), "--check"}, settings)), kOk) << e.path() << ": " << err.str();
      EXPECT_THAT(out.str(), testing::HasSubstr("loss of the first batch")) << e.path();
      if (seen) seen(e.path().stem().string());
    }
    EXPECT_GE(count, least);
  }
  /// The newest checkpoint of a run.
  std::string checkpoint(const std::string& run) const {
    std::string newest;
    for (const auto& e : std::filesystem::directory_iterator(scratch / run + "/checkpoints"))
      if (e.path().filename().string().starts_with("step-")) newest = std::max(newest, e.path().string());
    return newest;
  }
  /// Everything in a checkpoint that the next step depends on: parameters, state of the optimiser and of the recipe.
  static std::map<std::string, std::vector<double>> tensors(const std::string& path) {
    std::map<std::string, std::vector<double>> all;
    const data::Hdf5Reader reader(path);
    for (const auto& e : reader.entries())
      for (const char* group : {"/model/", "/weights/", "/optimizer/", "/train/recipe/"})
        if (!e.is_text && e.name.starts_with(group)) all[e.name] = reader.read(e.name).to_vector();
    return all;
  }
  /// A metric that the last command printed.
  double metric(const std::string& name) const {
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name + "  ")) return std::stod(line.substr(name.size()));
    ADD_FAILURE() << "no " << name << " in\n" << out.str();
    return -1;
  }
};

}  // namespace capstan::engine::test
