#pragma once
// run.dir/result.json: how a run that has done all it was asked to ended. It is there exactly while that is so: a run that goes on removes
// it first, and one that is stopped or fails leaves none.

#include <cstdint>
#include <optional>
#include <string>

#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

inline constexpr std::string_view kRunResult = "result.json";

struct RunResult {
  std::int64_t step = 0, epoch = 0;
  std::string stopped;                    ///< "all epochs done"
  std::optional<MetricInfo> metric = {};  ///< that selects; nothing: the run had no validation
  double best = 0;                        ///< of that metric
  std::int64_t best_step = -1;            ///< -1: it was never validated
};

/// Throws IoError.
void write_result(const std::string& directory, const RunResult& result);
/// Nothing if there is none, or none that can be read.
std::optional<RunResult> read_result(const std::string& directory);
void remove_result(const std::string& directory);

}  // namespace capstan::engine
