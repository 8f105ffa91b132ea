#include "recipes/engine/train/train.h"

#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/failure.h"
#include "recipes/engine/train/guard.h"
#include "recipes/engine/train/spikes.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {
namespace {

/// What is not trained and yet moves in a step, such as running statistics: with train.reduce = fast, once for each part of a batch that a
/// process computes.
class MovingConstants {
 public:
  MovingConstants(const nn::ParameterStore& parameters, Comm* comm) : all_(parameters.parameters()), comm_(comm) {
    for (const Parameter& p : all_) versions_.push_back(p.version());
  }

  /// Those that have moved on the first process get its values on all.
  void share() {
    if (comm_ == nullptr) return;
    std::vector<std::uint8_t> shared;
    for (std::size_t i = 0; i < all_.size(); ++i) shared.push_back(moved(i) ? 1 : 0);
    comm_->broadcast(std::as_writable_bytes(std::span(shared)), 0);
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (shared[i] == 0) continue;
      const Tensor value = all_[i].write();
      dispatch_floating("train", value.dtype(),
                        [&](auto zero) { comm_->broadcast(std::as_writable_bytes(value.span<decltype(zero)>()), 0); });
      versions_[i] = all_[i].version();
    }
  }

 private:
  bool moved(std::size_t i) const { return !all_[i].trainable() && all_[i].version() != versions_[i]; }

  std::span<const Parameter> all_;
  Comm* comm_;
  std::vector<std::uint64_t> versions_;
};

Metrics validate(const Training& t, MovingConstants& constants, TrainSession& session) {
  t.optimizer.synchronize();  // rows that are behind (SparsePolicy::catch_up)
  constants.share();
  std::optional<optim::WeightAverage::Swapped> averaged;
  if (t.average != nullptr) averaged.emplace(*t.average);
  return t.evaluator.run(Split::validation, [&](const Metrics& metrics, const std::function<std::vector<Finding>()>& findings) {
    session.show(metrics, findings);
  });
}

}  // namespace

void start(const Training& t, TrainSession& session) {
  session.start_fresh();
  if (t.sharded == nullptr) {
    t.recipe.initialize(t.optimizer);
  } else if (t.recipe.initializes()) {
    t.sharded->take_over([&](optim::Optimizer& whole) { t.recipe.initialize(whole); });
  }
  if (t.average != nullptr) t.average->restart();  // of values that did not come from the initialisers
  t.recipe.begin_epoch(0);
}

void restore(const Training& t, TrainSession& session, const Checkpoint& checkpoint, bool with_optimizer) {
  checkpoint.load(t.recipe.parameters(), with_optimizer ? &t.optimizer : nullptr, t.average, t.sharded);
  const int rank = t.comm != nullptr ? t.comm->rank() : 0;
  if (rank == 0) session.start_from(checkpoint);
  TrainSession::Standing standing = session.standing();
  if (t.comm != nullptr) t.comm->broadcast(std::as_writable_bytes(std::span(&standing, 1)), 0);
  if (rank != 0) session.start_from(checkpoint.train_state(), standing);
  const TrainState& s = session.state();
  if (s.position > 0) t.recipe.begin_epoch(s.epoch);
  t.recipe.set_state(s.recipe);
  if (s.position == 0) t.recipe.begin_epoch(s.epoch);
}

StopReason train(const Training& t, TrainSession& session, const EngineOptions& options, const CheckpointMeta& meta) {
  const NamedTensors artifacts = t.recipe.artifacts();
  const bool leads = t.comm == nullptr || t.comm->rank() == 0;
  const TrainSession::Image image = [&](const TrainState& state) -> CheckpointContent {
    if (!leads) {
      if (t.sharded != nullptr) t.sharded->gather_for_first();
      return {};
    }
    TrainState s = state;
    s.recipe = t.recipe.state();
    if (t.sharded == nullptr) return {.image = checkpoint_image(meta, t.recipe.parameters(), &t.optimizer, s, artifacts, t.average)};
    return gathered_checkpoint(meta, t.recipe.parameters(), *t.sharded, s, artifacts, t.average);
  };
  // What others keep does not come together any more once one of them has failed.
  const TrainSession::Image last_image = t.sharded == nullptr ? image : TrainSession::Image();
  MovingConstants constants(t.recipe.parameters(), t.comm);
  const auto note = [&](std::string_view doing) {
    if (t.watch != nullptr) t.watch->note(session.state().step, doing);
  };
  const auto validate_now = [&] {
    note("validation");
    const double start = wall_seconds();
    const Metrics metrics = validate(t, constants, session);
    session.after_validation(metrics, wall_seconds() - start);
    for (const std::string& example : t.evaluator.examples()) session.say(example);
  };

  const TrainState& state = session.state();
  // Where the next step depends on nothing but what an update changes, the state is that of a whole step all through its forward pass.
  const bool own_state = t.recipe.sequential() || !t.recipe.state().empty();
  bool first_step = true, whole = true;
  SelfComm alone;
  GradientExchange exchange(t.comm != nullptr ? *t.comm : alone, t.recipe.parameters(), t.exchange);
  StatisticsBefore statistics(t.recipe.parameters());
  LayerWatch layers(t.recipe.parameters(), options.guard.layers_every, t.comm);
  StepWork work;  // of the step that is under way
  const auto key = [&] {
    return StepKey{.seed = t.recipe.setup().seed, .step = state.step, .checkpoint_activations = options.train.checkpoint_activations};
  };
  BatchStream stream(t.recipe, state.epoch, state.position, options,
                     {.parts = exchange.parts(), .first = exchange.first_part(), .end = exchange.end_part()});
  SpikeGuard spikes({t, session, options.guard, stream, exchange, statistics});
  const auto learn = [&](const StepGradients& gradients, double rate) {
    whole = false;
    const bool watched = layers.due(state.step + 1);
    if (watched) layers.before(gradients);
    try {
      if (t.sharded != nullptr) {
        update(*t.sharded, gradients, rate);
      } else {
        update(t.optimizer, gradients, rate);
      }
    } catch (const NumericalError& e) {
      throw NotFinite(NotFinite::Of::parameter, gradients.loss, join_text("train: at step ", state.step, ": ", e.what()));
    }
    if (watched && leads) session.layer_rows(layers.rows(state.step + 1));
    if (t.average == nullptr) return;
    const profile::Scope scope("average", profile::Kind::phase);
    t.optimizer.synchronize();
    t.average->update(state.step + 1);
  };
  // Nothing comes back of a step that is gone.
  const auto step = [&](double rate) -> std::optional<StepLoss> {
    statistics.keep();
    StepGradients gradients = clipped_step(t.recipe, work, key(), options.train.clip_norm, exchange);
    const SpikeGuard::Verdict verdict = spikes.judge(work, gradients.loss);
    if (verdict == SpikeGuard::Verdict::gone) return std::nullopt;
    if (verdict == SpikeGuard::Verdict::learn) learn(gradients, rate);
    return std::move(gradients.loss);
  };
  StopReason reason = StopReason::none;
  try {
    if (session.validation_owed()) {
      validate_now();
      session.note_rewind_point();
    }
    if (session.in_new_place()) session.save(image);
    for (reason = session.stop(); reason == StopReason::none; reason = session.stop()) {
      whole = !own_state;
      if (t.profile != nullptr) t.profile->before_step(state.step);
      work = [&] {
        const profile::Scope scope("wait for data", profile::Kind::wait);
        note("wait for data");
        return stream.next(t.recipe.setup().batches_per_step, state.position);
      }();
      if (work.batches == 0) {
        whole = true;
        require<DataError>(state.position > 0, "train: epoch ", state.epoch + 1, " has no batch");
        if (session.end_epoch()) validate_now();
        if (state.epoch < options.train.epochs) t.recipe.begin_epoch(state.epoch);
      } else {
        const double rate = t.schedule(state.step);
        note("forward and backward");
        if (const std::optional<StepLoss> loss = step(rate)) {
          if (std::exchange(first_step, false) && !loss->without_gradient.empty())
            session.say(without_gradient_text(loss->without_gradient));
          session.after_step({.sums = loss->sums,
                              .counts = loss->counts,
                              .gradient_norm = loss->gradient_norm,
                              .learning_rate = rate,
                              .items = loss->items,
                              .batches = work.batches,
                              .loader_wait = stream.wait_seconds()});
        }
        work = {};
        whole = true;
        if (t.comm != nullptr) session.agree_on_time(agree_on_stop(*t.comm, session.due_by_time()));
        if (t.profile != nullptr) t.profile->after_step(state.step);
        if (session.validation_due()) validate_now();
      }
      note("saving");
      session.report_saves();
      session.note_rewind_point();
      if (session.checkpoint_due()) session.save(image);
      if (!spikes.stopped_by().empty()) {
        reason = StopReason::spike;
        break;
      }
    }
    if (reason != StopReason::signal && reason != StopReason::spike && !session.validated_now()) validate_now();
  } catch (const StopRequested&) {
    reason = StopReason::signal;
  } catch (const NumericalError& e) {
    // Only of what all processes have met may they speak.
    const bool shared = t.comm != nullptr && dynamic_cast<const NotFinite*>(&e) != nullptr;
    statistics.put_back();
    const FailedStep failed{.work = work,
                            .key = key(),
                            .drawn = stream.drawn_at({state.epoch, state.position}),
                            .parts = exchange.parts(),
                            .learning_rate = t.schedule(state.step)};
    const FailureReport report = examine_failure(t.recipe, state, work.batches > 0 ? &failed : nullptr, e, shared ? t.comm : nullptr);
    statistics.put_back();
    const std::string message = join_text(e.what(), report.where);
    const std::string dump = session.record_failure(
        message,
        [&](const TrainState& s) -> CheckpointContent {
          return {.image = checkpoint_image(meta, t.recipe.parameters(), nullptr, s, artifacts)};
        },
        report.json);
    throw NumericalError(message + dump);
  } catch (const std::bad_alloc&) {
    session.record_error("out of memory", whole ? last_image : TrainSession::Image());
    throw;
  } catch (const std::exception& e) {
    session.record_error(e.what(), whole ? last_image : TrainSession::Image());
    throw;
  }
  if (!session.saved_now() || session.checkpoint_due()) session.save(image);
  if (t.profile != nullptr) t.profile->finish();
  session.finish(reason);
  require<NumericalError>(spikes.stopped_by().empty(), spikes.stopped_by());
  return reason;
}

}  // namespace capstan::engine
