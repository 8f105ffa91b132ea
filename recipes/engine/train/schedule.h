#pragma once
// The section `schedule` of every configuration: the course of the learning rate.
//
// It is laid over the epochs, or over schedule.steps, never over train.max_steps: a run that is stopped early and resumed goes the same
// way.

#include <cstdint>
#include <string>
#include <vector>

#include "optim/schedule.h"

namespace capstan::engine {

enum class ScheduleKind { constant, linear, cosine, google, inverse_sqrt, step };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::constant;
  std::int64_t warmup_steps = 0, steps = 0;
  double warmup_epochs = 0, warmup_share = 0, final_rate = 0;
  std::vector<double> drops{2.0 / 3};
  double drop_factor = 0.1;

  template <class V>
  void visit(V& v) {
    v("kind", kind,
      "after the warm-up. constant; linear or cosine: to final_rate at the end; google: peak (1 - s / steps), as BERT was released, which "
      "drops where the warm-up ends; inverse_sqrt: peak sqrt(warm-up / s); step: times drop_factor at each of drops",
      {{"constant", ScheduleKind::constant},
       {"linear", ScheduleKind::linear},
       {"cosine", ScheduleKind::cosine},
       {"google", ScheduleKind::google},
       {"inverse_sqrt", ScheduleKind::inverse_sqrt},
       {"step", ScheduleKind::step}});
    v("warmup_steps", warmup_steps, "steps of linear warm-up from 0; 0: see warmup_epochs", V::non_negative());
    v("warmup_epochs", warmup_epochs, "the warm-up in epochs; 0: see warmup_share", V::non_negative());
    v("warmup_share", warmup_share, "the warm-up as a share of all steps", V::fraction());
    v("final_rate", final_rate, "linear, cosine: learning rate at the end, as a share of the peak", V::between(0, 1));
    v("drops", drops, "step: where the learning rate drops, ascending shares of all steps", V::between(0, 1));
    v("drop_factor", drop_factor, "step: what each drop multiplies it by", V::between(0, 1));
    v("steps", steps, "optimiser steps that the schedule spans; 0: those of train.epochs", V::non_negative());
  }
};

/// The schedule of a run of `epochs` epochs. A warm-up in epochs that would not end before the schedule does is shortened to all steps but
/// one, so that a run of few epochs needs no other setting; one in steps is a ConfigError.
optim::Schedule make_schedule(const ScheduleOptions& options, double peak, std::int64_t epochs, std::int64_t steps_per_epoch);
/// Says so in words; empty: the warm-up is as long as asked.
std::string shortened_warmup(const ScheduleOptions& options, std::int64_t epochs, std::int64_t steps_per_epoch);

}  // namespace capstan::engine
