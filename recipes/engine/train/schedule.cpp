#include "recipes/engine/train/schedule.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"

namespace capstan::engine {

optim::Schedule make_schedule(const ScheduleOptions& o, double peak, std::int64_t epochs, std::int64_t steps_per_epoch) {
  const std::int64_t total = std::max<std::int64_t>(1, o.steps > 0 ? o.steps : epochs * steps_per_epoch);
  const std::int64_t warmup = o.warmup_steps > 0    ? o.warmup_steps
                              : o.warmup_epochs > 0 ? std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch))
                                                    : static_cast<std::int64_t>(o.warmup_share * static_cast<double>(total));
  require<ConfigError>(warmup < total || o.kind == ScheduleKind::constant || o.kind == ScheduleKind::inverse_sqrt,
                       "schedule: the warm-up must end before the schedule does, got ", warmup, " of ", total,
                       " steps (schedule.warmup_steps, warmup_epochs, warmup_share; train.epochs or schedule.steps)");
  const double end = o.final_rate * peak;
  const std::int64_t rest = total - warmup;
  switch (o.kind) {
    case ScheduleKind::constant: return optim::with_warmup({.steps = warmup}, optim::constant(peak));
    case ScheduleKind::linear: return optim::with_warmup({.steps = warmup}, optim::linear_decay({.peak = peak, .end = end, .total = rest}));
    case ScheduleKind::cosine: return optim::with_warmup({.steps = warmup}, optim::cosine_decay({.peak = peak, .end = end, .total = rest}));
    case ScheduleKind::google: return optim::bert_linear({.peak = peak, .total = total, .warmup = warmup});
    case ScheduleKind::inverse_sqrt: return optim::inverse_sqrt({.peak = peak, .warmup = std::max<std::int64_t>(1, warmup)});
  }
  throw InternalError("schedule: unknown kind");
}

}  // namespace capstan::engine
