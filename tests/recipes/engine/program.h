#pragma once
// `capstan` in-process with the test recipes, in a scratch directory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/system.h"
#include "tests/data/scratch.h"
#include "tests/recipes/engine/linear_recipe.h"

namespace capstan::engine::test {

struct ProgramTest : testing::Test {
  data::Scratch scratch;
  std::ostringstream out, err;
  std::string run = scratch / "run";
  int progress_fd = -1;  ///< where progress goes; -1: nowhere

  /// Runs `capstan ARGUMENTS`; returns the exit code.
  int capstan(const std::vector<std::string>& arguments, const std::string& input = {}) {
    static const std::vector<RecipeEntry> recipes{entry<Linear>(), entry<Drifting>(), entry<Forgetful>(), entry<Detached>()};
    clear_stop_signal();
    out.str("");
    err.str("");
    std::istringstream in(input);
    return run_program(recipes, arguments, {.in = in, .out = out, .err = err, .progress_fd = progress_fd});
  }
  /// A configuration file of a recipe.
  std::string config(const std::string& recipe) {
    return scratch.write(recipe + ".cfg", "recipe = " + recipe + "\n[train]\nbatch_size = 8\nlog_every = 1\nepochs = 3\n[run]\ndir = " +
                                              run + "\nthreads = 1\n");
  }
  int train(const std::string& recipe, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"train", config(recipe)});
    return capstan(arguments);
  }
  std::string checkpoint(std::int64_t step) const {
    std::string digits = std::to_string(step);
    return run + "/checkpoints/step-" + std::string(9 - digits.size(), '0') + digits + ".h5";
  }
  std::vector<std::string> checkpoints() const {
    std::vector<std::string> names;
    for (const auto& e : std::filesystem::directory_iterator(run + "/checkpoints")) names.push_back(e.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string content(const std::string& path) {
    const auto bytes = data::read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// The rows of metrics.jsonl without what depends on the clock.
  std::string rows() const {
    std::string all;
    std::istringstream lines(content(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      for (const char* timing : {",\"items_per_s\":", ",\"seconds\":"})
        if (const auto at = line.find(timing); at != std::string::npos) line.resize(at);
      all += line + "\n";
    }
    return all;
  }
  /// All tensors of a checkpoint as bytes, by name.
  static std::map<std::string, std::vector<double>> tensors(const std::string& path) {
    std::map<std::string, std::vector<double>> all;
    const data::Hdf5Reader reader(path);
    for (const auto& e : reader.entries())
      if (!e.is_text && e.name != "/train/kept_steps" && e.name != "/train/kept_metrics") all[e.name] = reader.read(e.name).to_vector();
    return all;
  }
};

}  // namespace capstan::engine::test
