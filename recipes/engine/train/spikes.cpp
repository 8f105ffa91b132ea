#include "recipes/engine/train/spikes.h"

#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/agreement.h"

namespace capstan::engine {
namespace {

/// Sampled batches follow from the place alone; others from those before, which are passed over one by one.
void pass_over_until(const Training& t, const LeftOut& left_out, const TrainState& state, BatchStream& stream, GradientExchange& exchange) {
  if (!t.recipe.sequential()) return;
  std::int64_t epoch = state.epoch, position = state.position;
  const StepKey key{.seed = t.recipe.setup().seed, .step = state.step};
  while (epoch < left_out.end_epoch || position < left_out.end_position) {
    const StepWork work = stream.next(1, position);
    if (work.batches > 0) {
      pass_over(t.recipe, work, key, exchange);
      ++position;
    } else {
      t.recipe.begin_epoch(++epoch);
      position = 0;
    }
  }
}

/// How many of the samples of a usual step the one has that begins here.
double share_of_samples(const AnyRecipe& recipe, const TrainState& state) {
  if (recipe.sequential()) return 1;
  const Setup& setup = recipe.setup();
  const std::int64_t usual = setup.batches_per_step * setup.batch_size,
                     left = recipe.samples_per_epoch() - state.position * setup.batch_size;
  return left < usual ? static_cast<double>(left) / static_cast<double>(usual) : 1;
}

}  // namespace

void SpikeGuard::warn(const std::string& text) {
  const std::int64_t step = run_.session.state().step;
  if (step < quiet_until_) {
    ++quiet_;
    return;
  }
  const std::int64_t untold = std::exchange(quiet_, 0);
  quiet_until_ = step + run_.options.spike_window;
  run_.session.say(join_text("warning: ", text, untold == 0 ? "" : join_text("; ", untold, " more since the last warning")));
}

bool SpikeGuard::go_back(const std::string& text, const LeftOut& step) {
  const Training& t = run_.training;
  TrainSession& session = run_.session;
  std::string file = session.rewind_file();
  if (t.comm != nullptr) file = from_first(*t.comm, file);
  if (file.empty()) return false;
  session.say(join_text("warning: ", text, ": back to ", file));
  const GuardState before = session.state().guard;
  const auto reading = t.sharded != nullptr ? Checkpoint::Reading::in_parts : Checkpoint::Reading::whole;
  restore(t, session, Checkpoint(file, reading), /*with_optimizer=*/true);
  const LeftOut all{session.state().epoch, session.state().position, step.end_epoch, step.end_position};
  pass_over_until(t, all, session.state(), run_.stream, run_.exchange);
  session.leave_out(all, before);
  session.say(join_text("goes on from step ", session.state().step, "; left out are the batches from epoch ", all.epoch + 1, ", batch ",
                        all.position + 1, " to epoch ", all.end_epoch + 1, ", batch ", all.end_position));
  return true;
}

SpikeGuard::Verdict SpikeGuard::judge(const StepWork& work, const StepLoss& loss) {
  TrainState& state = run_.session.state();
  const double share = share_of_samples(run_.training.recipe, state);
  const auto spike = find_spike(run_.options, state.guard, loss.total(), loss.gradient_norm, share);
  if (!spike) return Verdict::learn;
  const std::string text = join_text("spike at step ", state.step, " (", place_text(state, work.batches), "): ", to_text(*spike));
  if (run_.options.on_spike == OnSpike::warn) {
    warn(text);
    return Verdict::learn;
  }
  const LeftOut step{state.epoch, state.position, state.epoch, state.position + work.batches};
  std::string outcome = "the step changes nothing";
  if (run_.options.on_spike == OnSpike::stop) {
    outcome = "the run ends (guard.on_spike = stop)";
    stopped_by_ = join_text("train: ", text, ": ", outcome);
  } else if (run_.options.on_spike == OnSpike::rewind) {
    if (state.guard.rewinds == kMostRewinds) {
      outcome = join_text("the run ends, since going back to step ", state.guard.rewind_step, " ", kMostRewinds, " times has not helped");
      stopped_by_ = join_text("train: ", text, ": ", outcome);
    } else if (go_back(text, step)) {
      return Verdict::gone;
    } else {
      outcome += ", since there is no checkpoint to go back to";
    }
  }
  run_.session.say(join_text("warning: ", text, ": ", outcome));
  state.guard.left_out.push_back(step);
  run_.statistics.put_back();
  return Verdict::leave_out;
}

}  // namespace capstan::engine
