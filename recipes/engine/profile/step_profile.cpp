#include "recipes/engine/profile/step_profile.h"

#include <sstream>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/profile/profile_table.h"

namespace capstan::engine {

StepRange parse_step_range(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view first = text.substr(0, colon), last = colon == std::string_view::npos ? first : text.substr(colon + 1);
  const StepRange range{parse_integer(first), parse_integer(last)};
  require<ConfigError>(range.first >= 1 && range.last >= range.first, "steps are N:M with 1 <= N <= M, or one number, got ", text);
  return range;
}

StepProfile::StepProfile(const StepRange& range, std::string trace_file, DType precision, std::function<void(const std::string&)> say)
    : range_(range), trace_file_(std::move(trace_file)), precision_(precision), say_(std::move(say)) {}

void StepProfile::before_step(std::int64_t done) {
  if (!recorder_ && steps_ == 0 && done + 1 >= range_.first && done < range_.last) recorder_.emplace();
}

void StepProfile::after_step(std::int64_t done) {
  if (!recorder_) return;
  ++steps_;
  if (done >= range_.last) finish();
}

void StepProfile::finish() {
  if (steps_ == 0) {
    recorder_.reset();
    say_(join_text("profile: no step of ", range_.first, ":", range_.last, " was trained"));
    return;
  }
  if (!recorder_) return;  // reported already
  const std::vector<profile::Event> events = recorder_->events();
  recorder_.reset();
  data::write_file_durably(trace_file_, std::string_view(chrome_trace(events)));
  const Rates rates = measure_rates(precision_);
  std::istringstream table(profile_table(profile_lines(events, rates), rates, steps_));
  say_(join_text("profile of ", steps_, steps_ == 1 ? " step" : " steps", ", for a browser (chrome://tracing, Perfetto) in ", trace_file_));
  for (std::string line; std::getline(table, line);) say_(line);
}

}  // namespace capstan::engine
