#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/core/error.h"

namespace capstan::optim {
namespace {

/// The part of the way to `total`, in [0, 1].
double progress(std::int64_t step, std::int64_t total) {
  return static_cast<double>(std::clamp<std::int64_t>(step, 0, total)) / static_cast<double>(total);
}

void check_total(std::string_view name, std::int64_t total) {
  require<ConfigError>(total > 0, "schedule: ", name, ": the total must be positive: ", total);
}

}  // namespace

Schedule constant(double value) {
  return [=](std::int64_t) { return value; };
}

Schedule linear_decay(const LinearDecay& o) {
  check_total("linear_decay", o.total);
  return [=](std::int64_t step) { return o.end + (o.peak - o.end) * (1 - progress(step, o.total)); };
}

Schedule polynomial_decay(const PolynomialDecay& o) {
  check_total("polynomial_decay", o.total);
  require<ConfigError>(o.power > 0, "schedule: polynomial_decay: the power must be positive: ", o.power);
  return [=](std::int64_t step) { return o.end + (o.peak - o.end) * std::pow(1 - progress(step, o.total), o.power); };
}

Schedule cosine_decay(const CosineDecay& o) {
  check_total("cosine_decay", o.total);
  return [=](std::int64_t step) { return o.end + (o.peak - o.end) * 0.5 * (1 + std::cos(std::numbers::pi * progress(step, o.total))); };
}

Schedule step_decay(const StepDecay& o) {
  require<ConfigError>(std::ranges::is_sorted(o.milestones), "schedule: step_decay: the milestones must ascend");
  return [=](std::int64_t step) {
    const auto passed = std::ranges::upper_bound(o.milestones, step) - o.milestones.begin();
    return o.peak * std::pow(o.factor, static_cast<double>(passed));
  };
}

Schedule inverse_sqrt(const InverseSqrt& o) {
  require<ConfigError>(o.warmup > 0, "schedule: inverse_sqrt: the warm-up must be positive: ", o.warmup);
  return [=](std::int64_t step) {
    const double ratio = static_cast<double>(step) / static_cast<double>(o.warmup);
    return o.peak * (ratio < 1 ? ratio : 1 / std::sqrt(ratio));
  };
}

Schedule with_warmup(const Warmup& warmup, Schedule decay, WarmupJoin join) {
  require<ConfigError>(warmup.steps >= 0, "schedule: the warm-up must not be negative: ", warmup.steps);
  const double peak = decay(0);
  return [=, decay = std::move(decay)](std::int64_t step) {
    if (step < warmup.steps) return warmup.start + (peak - warmup.start) * progress(step, warmup.steps);
    return decay(join == WarmupJoin::prefix ? step - warmup.steps : step);
  };
}

Schedule bert_linear(const LinearWarmup& o) {
  return with_warmup({.steps = o.warmup}, linear_decay({.peak = o.peak, .total = o.total}), WarmupJoin::overlap);
}

Schedule linear_with_warmup(const LinearWarmup& o) {
  return with_warmup({.steps = o.warmup}, linear_decay({.peak = o.peak, .total = o.total - o.warmup}));
}

Schedule cosine_with_warmup(const CosineWarmup& o) {
  return with_warmup({.steps = o.warmup, .start = o.start}, cosine_decay({.peak = o.peak, .end = o.end, .total = o.total - o.warmup}));
}

Schedule cosine_under_warmup(const CosineWarmup& o) {
  return with_warmup({.steps = o.warmup, .start = o.start}, cosine_decay({.peak = o.peak, .end = o.end, .total = o.total}),
                     WarmupJoin::overlap);
}

}  // namespace capstan::optim
