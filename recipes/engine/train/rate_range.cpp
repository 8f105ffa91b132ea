#include "recipes/engine/train/rate_range.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

constexpr std::int64_t kFewestSteps = 10;
constexpr double kDiverged = 4;  // times the lowest loss
constexpr std::int64_t kTrialLines = 20;
constexpr double kBarWidth = 40;

}  // namespace

RateRange parse_rate_range(std::string_view text) {
  const auto colon = text.find(':');
  require<ConfigError>(colon != std::string_view::npos, "learning rates are LOW:HIGH, such as 1e-6:1, got ", text);
  const RateRange range{parse_number(text.substr(0, colon)), parse_number(text.substr(colon + 1))};
  require<ConfigError>(range.low > 0 && range.high > range.low, "learning rates are LOW:HIGH with 0 < LOW < HIGH, got ", text);
  return range;
}

RateCurve::RateCurve(const RateRange& range, std::int64_t steps)
    : range_(range), steps_(steps), kept_(std::clamp(1 - 10.0 / static_cast<double>(steps), 0.5, 0.98)) {
  require<ConfigError>(steps >= kFewestSteps && steps <= 1'000'000, "a learning-rate range test takes ", kFewestSteps,
                       " to 1000000 steps, got ", steps);
}

double RateCurve::next_rate() const {
  if (std::ssize(trials_) + 1 >= steps_) return range_.high;
  const double share = static_cast<double>(trials_.size()) / static_cast<double>(steps_ - 1);
  return range_.low * std::pow(range_.high / range_.low, share);
}

void RateCurve::add(double loss) {
  if (!std::isfinite(loss)) {
    done_ = true;
    return;
  }
  average_ = kept_ * average_ + (1 - kept_) * loss;
  const auto step = static_cast<std::int64_t>(trials_.size()) + 1;
  const double smoothed = average_ / (1 - std::pow(kept_, step));
  trials_.push_back({.step = step, .rate = next_rate(), .loss = loss, .smoothed = smoothed});
  const double lowest = std::ranges::min(trials_, {}, &RateTrial::smoothed).smoothed;
  done_ = step == steps_ || (lowest > 0 && smoothed > kDiverged * lowest);
}

std::optional<double> RateCurve::steepest() const {
  // Rates grow by one factor a step, so a difference over steps is one over the logarithm of the rate.
  if (!done_) return std::nullopt;
  const auto first = static_cast<std::size_t>(steps_ / 10);
  const auto end = static_cast<std::size_t>(std::ranges::min_element(trials_, {}, &RateTrial::smoothed) - trials_.begin());
  double best = 0;
  std::optional<double> rate;
  for (std::size_t i = std::max<std::size_t>(first, 1); i < end; ++i)
    if (const double slope = trials_[i + 1].smoothed - trials_[i - 1].smoothed; slope < best) {
      best = slope;
      rate = trials_[i].rate;
    }
  return rate;
}

std::optional<double> RateCurve::lowest() const {
  if (trials_.empty()) return std::nullopt;
  return std::ranges::min(trials_, {}, &RateTrial::smoothed).rate;
}

std::string rate_table(std::span<const RateTrial> trials) {
  if (trials.empty()) return "";
  // On the scale of what comes before the lowest loss: where it grows without bound the fall would be too small to see.
  const auto lowest = std::ranges::min_element(trials, {}, &RateTrial::smoothed),
             highest = std::ranges::max_element(trials.begin(), lowest + 1, {}, &RateTrial::smoothed);
  const double low = lowest->smoothed, range = std::max(highest->smoothed - low, 1e-300);
  std::string text = "learning rate  smoothed loss\n";
  const auto count = std::ssize(trials), lines = std::min(kTrialLines, static_cast<std::int64_t>(count));
  for (std::int64_t line = 0; line < lines; ++line) {
    const RateTrial& t = trials[static_cast<std::size_t>(lines == 1 ? 0 : line * (count - 1) / (lines - 1))];
    const double share = (t.smoothed - low) / range;
    text += padded(short_number(t.rate), 13, /*right=*/true) + "  " + padded(short_number(t.smoothed), 13, /*right=*/true) + "  " +
            std::string(1 + static_cast<std::size_t>(std::lround(kBarWidth * std::min(share, 1.0))), '#') + (share > 1 ? " ..." : "") +
            "\n";
  }
  return text;
}

std::string rate_rows(const RateCurve& curve) {
  std::string rows;
  for (const RateTrial& t : curve.trials())
    rows += to_json({{"step", t.step}, {"lr", t.rate}, {"loss", t.loss}, {"smoothed", t.smoothed}}) + "\n";
  if (const auto rate = curve.steepest()) rows += to_json({{"suggested", *rate}}) + "\n";
  return rows;
}

}  // namespace capstan::engine
