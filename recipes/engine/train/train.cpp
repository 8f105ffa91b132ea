#include "recipes/engine/train/train.h"

#include <exception>
#include <new>
#include <span>
#include <utility>

#include "recipes/engine/system.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {
namespace {

Metrics validate(const Training& t) {
  t.optimizer.synchronize();  // rows that are behind (SparsePolicy::catch_up)
  std::optional<optim::WeightAverage::Swapped> averaged;
  if (t.average != nullptr) averaged.emplace(*t.average);
  return t.evaluator.run(Split::validation);
}

}  // namespace

void start(const Training& t, TrainSession& session) {
  session.start_fresh();
  t.recipe.initialize(t.optimizer);
  if (t.average != nullptr) t.average->restart();  // of values that did not come from the initialisers
  t.recipe.begin_epoch(0);
}

void restore(const Training& t, TrainSession& session, const Checkpoint& checkpoint, bool with_optimizer) {
  checkpoint.load(t.recipe.parameters(), with_optimizer ? &t.optimizer : nullptr, t.average);
  session.start_from(checkpoint);
  const TrainState& s = session.state();
  if (s.position > 0) t.recipe.begin_epoch(s.epoch);
  t.recipe.set_state(s.recipe);
  if (s.position == 0) t.recipe.begin_epoch(s.epoch);
}

StopReason train(const Training& t, TrainSession& session, const EngineOptions& options, const CheckpointMeta& meta) {
  const NamedTensors artifacts = t.recipe.artifacts();
  const TrainSession::Image image = [&](const TrainState& state) {
    TrainState s = state;
    s.recipe = t.recipe.state();
    return checkpoint_image(meta, t.recipe.parameters(), &t.optimizer, s, artifacts, t.average);
  };
  const auto validate_now = [&] {
    const double start = wall_seconds();
    const Metrics metrics = validate(t);
    session.after_validation(metrics, wall_seconds() - start);
    for (const std::string& example : t.evaluator.examples()) session.say(example);
  };

  const TrainState& state = session.state();
  // Where the next step depends on nothing but what an update changes, the state is that of a whole step all through its forward pass.
  const bool own_state = t.recipe.sequential() || !t.recipe.state().empty();
  bool first_step = true, whole = true;
  const auto step = [&](std::span<const AnyBatch> batches, double rate) {
    StepGradients gradients =
        clipped_step(t.recipe, batches,
                     {.seed = t.recipe.setup().seed, .step = state.step, .checkpoint_activations = options.train.checkpoint_activations},
                     options.train.clip_norm);
    whole = false;
    update(t.optimizer, gradients, rate);
    return std::move(gradients.loss);
  };
  BatchStream stream(t.recipe, state.epoch, state.position, options);
  StopReason reason = StopReason::none;
  try {
    if (session.validation_owed()) validate_now();
    if (session.in_new_place()) session.save(image);
    for (reason = session.stop(); reason == StopReason::none; reason = session.stop()) {
      whole = !own_state;
      if (t.profile != nullptr) t.profile->before_step(state.step);
      const std::vector<AnyBatch> batches = [&] {
        const profile::Scope scope("wait for data", profile::Kind::wait);
        return stream.next(t.recipe.setup().batches_per_step, state.position);
      }();
      if (batches.empty()) {
        whole = true;
        require<DataError>(state.position > 0, "train: epoch ", state.epoch + 1, " has no batch");
        if (session.end_epoch()) validate_now();
        if (state.epoch < options.train.epochs) t.recipe.begin_epoch(state.epoch);
      } else {
        const double rate = t.schedule(state.step);
        const StepLoss loss = step(batches, rate);
        if (std::exchange(first_step, false) && !loss.without_gradient.empty()) session.say(without_gradient_text(loss.without_gradient));
        if (t.average != nullptr) {
          const profile::Scope scope("average", profile::Kind::phase);
          t.optimizer.synchronize();
          t.average->update(state.step + 1);
        }
        double items = 0;
        for (const AnyBatch& b : batches) items += b.items();
        session.after_step({.sums = loss.sums,
                            .counts = loss.counts,
                            .gradient_norm = loss.gradient_norm,
                            .learning_rate = rate,
                            .items = items,
                            .batches = static_cast<std::int64_t>(batches.size()),
                            .loader_wait = stream.wait_seconds()});
        whole = true;
        if (t.profile != nullptr) t.profile->after_step(state.step);
        if (session.validation_due()) validate_now();
      }
      session.report_saves();
      if (session.checkpoint_due()) session.save(image);
    }
    if (reason != StopReason::signal && !session.validated_now()) validate_now();
  } catch (const StopRequested&) {
    reason = StopReason::signal;
  } catch (const NumericalError& e) {
    session.record_failure(e.what(),
                           [&](const TrainState& s) { return checkpoint_image(meta, t.recipe.parameters(), nullptr, s, artifacts); });
    throw;
  } catch (const std::bad_alloc&) {
    session.record_error("out of memory", whole ? image : TrainSession::Image());
    throw;
  } catch (const std::exception& e) {
    session.record_error(e.what(), whole ? image : TrainSession::Image());
    throw;
  }
  if (!session.saved_now() || session.checkpoint_due()) session.save(image);
  if (t.profile != nullptr) t.profile->finish();
  session.finish(reason);
  return reason;
}

}  // namespace capstan::engine
