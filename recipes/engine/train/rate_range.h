#pragma once
// The learning-rate range test (Smith, "Cyclical learning rates", 2015): the rate grows exponentially from step to step, and the course of
// the loss says which rates are of use.
//
// The loss is smoothed by a moving average over about a tenth of the steps, whose bias toward its start is corrected. The test ends early
// where the smoothed loss exceeds four times its lowest value, or a loss is not finite: rates beyond that are of no use.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

struct RateRange {
  double low = 0, high = 0;
};
/// "1e-6:1". Throws ConfigError unless 0 < low < high.
RateRange parse_rate_range(std::string_view text);

struct RateTrial {
  std::int64_t step = 0;  ///< from 1
  double rate = 0, loss = 0, smoothed = 0;
};

class RateCurve {
 public:
  /// Throws ConfigError for fewer than 10 steps.
  RateCurve(const RateRange& range, std::int64_t steps);

  std::int64_t steps() const { return steps_; }
  bool done() const { return done_; }
  double next_rate() const;
  /// The loss of the step at next_rate(), which is not recorded if it is not finite.
  void add(double loss);

  std::span<const RateTrial> trials() const { return trials_; }
  /// Where the smoothed loss falls fastest for a factor on the rate, on its way to the lowest; nothing if it nowhere falls, or before the
  /// test is done. The first steps, whose average is of few losses, do not count, nor do those behind the lowest, where it leaps.
  std::optional<double> steepest() const;
  /// Where it is lowest.
  std::optional<double> lowest() const;

 private:
  RateRange range_;
  std::int64_t steps_;
  double kept_;         // share of the average that stays in a step
  double average_ = 0;  // of the losses, biased toward 0
  bool done_ = false;
  std::vector<RateTrial> trials_;
};

/// A few lines of the course for people: rate, smoothed loss, a bar.
std::string rate_table(std::span<const RateTrial> trials);
/// {"step","lr","loss","smoothed"} a line, then {"suggested"}.
std::string rate_rows(const RateCurve& curve);

}  // namespace capstan::engine
