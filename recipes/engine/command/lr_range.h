#pragma once
// `capstan train CONFIG --lr-range LOW:HIGH`: the learning-rate range test of a configuration. It writes run.dir/lr_range.jsonl and nothing
// else that a run has.

#include <string>

#include "recipes/engine/command/command_line.h"
#include "recipes/engine/train/rate_range.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {

inline constexpr std::string_view kRateRangeFile = "lr_range.jsonl";

/// From the initial weights, on one process. `directory`: of the run, which must not be training. Returns the exit code.
int run_rate_range(const Training& training, const EngineOptions& options, RateCurve curve, const std::string& directory,
                   const Console& console);

}  // namespace capstan::engine
