#pragma once
// `train --profile N:M`: what the steps N to M of a run spend their time on, as a table in the log and a trace for a browser.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "autograd/core/dtype.h"
#include "autograd/core/profile.h"

namespace capstan::engine {

/// Counted as the log counts them: the first step of a run is 1.
struct StepRange {
  std::int64_t first = 1, last = 1;
};
/// "5:20", or "7" for one step. Throws ConfigError.
StepRange parse_step_range(std::string_view text);

class StepProfile {
 public:
  /// `say` is told of the table, a line at a time. The trace goes to a file, which is replaced.
  StepProfile(const StepRange& range, std::string trace_file, DType precision, std::function<void(const std::string&)> say);

  /// Before and after what belongs to a step, with the number of steps that are done.
  void before_step(std::int64_t done);
  void after_step(std::int64_t done);
  /// Where a run ends before the range does, what there is of it is reported. Throws IoError.
  void finish();

 private:
  StepRange range_;
  std::string trace_file_;
  DType precision_;
  std::function<void(const std::string&)> say_;
  std::optional<profile::Recorder> recorder_;
  std::int64_t steps_ = 0;  // recorded
};

}  // namespace capstan::engine
