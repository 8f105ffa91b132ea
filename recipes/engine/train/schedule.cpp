#include "recipes/engine/train/schedule.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"

namespace capstan::engine {

namespace {

struct Steps {
  std::int64_t total, warmup;
  std::int64_t asked;  ///< of the warm-up, before it was shortened
};

Steps steps_of(const ScheduleOptions& o, std::int64_t epochs, std::int64_t steps_per_epoch) {
  const std::int64_t total = std::max<std::int64_t>(1, o.steps > 0 ? o.steps : epochs * steps_per_epoch);
  const std::int64_t asked = o.warmup_steps > 0    ? o.warmup_steps
                             : o.warmup_epochs > 0 ? std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch))
                                                   : static_cast<std::int64_t>(o.warmup_share * static_cast<double>(total));
  if (asked < total || o.kind == ScheduleKind::constant || o.kind == ScheduleKind::inverse_sqrt) return {total, asked, asked};
  require<ConfigError>(o.warmup_steps == 0, "schedule: the warm-up must end before the schedule does, got ", asked, " of ", total,
                       " steps (schedule.warmup_steps; train.epochs or schedule.steps)");
  return {total, total - 1, asked};
}

}  // namespace

std::string shortened_warmup(const ScheduleOptions& o, std::int64_t epochs, std::int64_t steps_per_epoch) {
  const Steps steps = steps_of(o, epochs, steps_per_epoch);
  return steps.warmup == steps.asked ? ""
                                     : join_text("schedule.warmup_epochs = ", o.warmup_epochs, " are ", steps.asked, " steps, the run has ",
                                                 steps.total, ": its warm-up is shortened to ", steps.warmup);
}

optim::Schedule make_schedule(const ScheduleOptions& o, double peak, std::int64_t epochs, std::int64_t steps_per_epoch) {
  const auto [total, warmup, asked] = steps_of(o, epochs, steps_per_epoch);
  const double end = o.final_rate * peak;
  const std::int64_t rest = total - warmup;
  switch (o.kind) {
    case ScheduleKind::constant: return optim::with_warmup({.steps = warmup}, optim::constant(peak));
    case ScheduleKind::linear: return optim::with_warmup({.steps = warmup}, optim::linear_decay({.peak = peak, .end = end, .total = rest}));
    case ScheduleKind::cosine: return optim::with_warmup({.steps = warmup}, optim::cosine_decay({.peak = peak, .end = end, .total = rest}));
    case ScheduleKind::google: return optim::bert_linear({.peak = peak, .total = total, .warmup = warmup});
    case ScheduleKind::step: {
      require<ConfigError>(std::ranges::is_sorted(o.drops), "schedule.drops must ascend");
      optim::StepDecay decay{.peak = peak, .factor = o.drop_factor, .milestones = {}};
      for (const double share : o.drops)
        decay.milestones.push_back(std::max<std::int64_t>(1, std::llround(share * static_cast<double>(total)) - warmup));
      return optim::with_warmup({.steps = warmup}, optim::step_decay(decay));
    }
    case ScheduleKind::inverse_sqrt: return optim::inverse_sqrt({.peak = peak, .warmup = std::max<std::int64_t>(1, warmup)});
  }
  throw InternalError("schedule: unknown kind");
}

}  // namespace capstan::engine
