#pragma once
// `capstan train CONFIG --check`: what a run would be, before it is one. Everything that can fail before training does, and a few steps
// that nothing keeps: the model by layers, what a step, a checkpoint and the whole run need of memory, disk and time. It leaves no file.

#include <cstddef>
#include <optional>
#include <string>

#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {

struct Check {
  const Training& training;
  const EngineOptions& options;
  const CheckpointMeta& meta;
  std::string directory;             ///< that the run would have
  std::optional<MetricInfo> metric;  ///< that it would select by
  bool parameters = false;           ///< a line for each parameter instead of a table by layers
};

/// Prints to console.out; the model is trained by some steps afterwards. Returns the exit code. Throws what training would.
int check_run(const Check& check, const Console& console);

}  // namespace capstan::engine
