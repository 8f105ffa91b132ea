#pragma once
// Whether runs on this machine are what the program promises: they learn, a killed one goes on as if nothing had happened, and a damaged
// checkpoint is not used. Runs are processes of the installed program.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "recipes/engine/selftest/check.h"

namespace capstan::engine {

struct RunCheckOptions {
  std::string program;       ///< `capstan`
  std::string config;        ///< CONFIG of a recipe that needs no data
  std::string directory;     ///< for what the checks write
  std::int64_t threads = 1;  ///< of the runs
  std::int64_t steps = 20;   ///< of a whole run
  /// A run is killed once it has saved the first of these, the one that goes on with it at the second, and so on.
  std::vector<std::int64_t> killed_from = {4, 8, 12};
};

/// In order: each uses what those before it left in the directory.
std::vector<SelfCheck> run_checks(const RunCheckOptions& options);

/// Compares what the next step of a run depends on, parameters and state of the optimiser and of the recipe, bit by bit. Throws CheckFailed
/// naming the first tensor that differs.
void require_same_tensors(const std::string& got, const std::string& expected);

}  // namespace capstan::engine
