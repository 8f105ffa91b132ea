#pragma once
// Learning rate schedules: pure functions of the step number, which counts from 0. There is no state to save.
//
//     const Schedule lr = with_warmup({.steps = 10}, cosine_decay({.peak = 5e-4, .total = 90}));
//     lr(step)
// A total is the step at which a decay ends; later steps keep the last value.

#include <cstdint>
#include <functional>
#include <vector>

namespace capstan::optim {

using Schedule = std::function<double(std::int64_t step)>;

Schedule constant(double value);

struct LinearDecay {
  double peak = 0, end = 0;
  std::int64_t total = 1;
};
/// peak -> end in a straight line.
Schedule linear_decay(const LinearDecay& options);

struct PolynomialDecay {
  double peak = 0, end = 0;
  std::int64_t total = 1;
  double power = 1;
};
/// end + (peak - end) (1 - s/total)^power.
Schedule polynomial_decay(const PolynomialDecay& options);

struct CosineDecay {
  double peak = 0, end = 0;
  std::int64_t total = 1;
};
/// end + (peak - end) (1 + cos(pi s/total)) / 2.
Schedule cosine_decay(const CosineDecay& options);

struct StepDecay {
  double peak = 0;
  double factor = 0.1;
  std::vector<std::int64_t> milestones = {};  ///< ascending
};
/// peak * factor^(number of milestones <= s).
Schedule step_decay(const StepDecay& options);

struct InverseSqrt {
  double peak = 0;
  std::int64_t warmup = 1;
};
/// peak * min(s / warmup, sqrt(warmup / s)): rises to the peak at step `warmup`, then falls with the root of the step.
Schedule inverse_sqrt(const InverseSqrt& options);

struct Warmup {
  std::int64_t steps = 0;
  double start = 0;  ///< the value at step 0
};
enum class WarmupJoin : std::uint8_t {
  prefix,   ///< the decay begins when the warm-up ends: its step is s - warmup.steps, and the value is continuous
  overlap,  ///< the decay runs from step 0 on and is only hidden by the warm-up: the value drops where they meet
};
/// A straight line from start to the decay's value at its step 0, then the decay.
Schedule with_warmup(const Warmup& warmup, Schedule decay, WarmupJoin join = WarmupJoin::prefix);

// The published forms, by name.

struct LinearWarmup {
  double peak = 0;
  std::int64_t total = 1, warmup = 0;
};
/// BERT as released: peak s/W below step W, then peak (1 - s/T), which is not continuous at W (Devlin et al. 2018, released code).
Schedule bert_linear(const LinearWarmup& options);
/// The continuous form: peak (T - s)/(T - W) after the warm-up.
Schedule linear_with_warmup(const LinearWarmup& options);

struct CosineWarmup {
  double peak = 0;
  double end = 0;
  double start = 0;  ///< the warm-up's value at step 0
  std::int64_t total = 1, warmup = 0;
};
/// ViT, Swin: the cosine spans T - W steps after the warm-up.
Schedule cosine_with_warmup(const CosineWarmup& options);
/// DeiT: the cosine spans T steps from step 0, hidden by the warm-up below step W.
Schedule cosine_under_warmup(const CosineWarmup& options);

}  // namespace capstan::optim
