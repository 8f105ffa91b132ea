#pragma once
// The train loop, one function template for every recipe: step, log, validate, save, stop.
//
// A run that is stopped (signal, crash) and resumed does the same steps with the same numbers as one that was not: batches follow from
// (epoch, position), random numbers from (seed, step), and a checkpoint holds the rest.

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/tape/tape.h"
#include "data/loader.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train_session.h"
#include "recipes/engine/train_step.h"

namespace capstan::engine {

/// The batches of a run from (epoch, position) on, step by step.
template <Recipe R>
class BatchStream {
 public:
  using Batch = typename R::Batch;

  BatchStream(R& recipe, const TrainState& from, const EngineOptions& options) : recipe_(recipe) {
    if constexpr (IndexedBatches<R>) {
      per_epoch_ = recipe_.batches_per_epoch();
      require<DataError>(per_epoch_ > 0, "train: the data makes no batch of ", options.train.batch_size, " items");
      // Positions run on over epochs, so that the first batches of the next epoch are made while this one ends.
      const auto make = [&r = std::as_const(recipe_), n = per_epoch_](std::int64_t i) { return r.make_batch(i / n, i % n); };
      loader_.emplace(make, from.epoch * per_epoch_ + from.position, options.train.epochs * per_epoch_,
                      static_cast<int>(options.loader.workers), static_cast<int>(options.loader.depth));
    }
  }

  /// At most `count` batches; none at the end of the epoch that `state` is in.
  std::vector<Batch> next(std::int64_t count, const TrainState& state) {
    std::vector<Batch> batches;
    if constexpr (IndexedBatches<R>) count = std::min(count, per_epoch_ - state.position);
    while (static_cast<std::int64_t>(batches.size()) < count) {
      std::optional<Batch> batch = take();
      if (!batch) break;
      batches.push_back(std::move(*batch));
    }
    return batches;
  }

  double wait_seconds() const {
    if constexpr (IndexedBatches<R>) return loader_->wait_seconds();
    return wait_;
  }

 private:
  std::optional<Batch> take() {
    if constexpr (IndexedBatches<R>) {
      return loader_->next();
    } else {
      const double start = wall_seconds();
      std::optional<Batch> batch = recipe_.next_batch();
      wait_ += wall_seconds() - start;
      return batch;
    }
  }

  struct NoLoader {};
  R& recipe_;
  std::int64_t per_epoch_ = 0;
  double wait_ = 0;
  std::conditional_t<IndexedBatches<R>, std::optional<data::Loader<Batch>>, NoLoader> loader_;
};

/// Items in a batch, for the throughput.
template <RecipeBasics R>
double items_of(const R& recipe, const typename R::Batch& batch, const Setup& setup) {
  if constexpr (CountsItems<R>) return static_cast<double>(recipe.items(batch));
  return static_cast<double>(setup.batch_size);
}

/// `average` may be null: without averages.
template <RecipeBasics R>
Metrics evaluate_split(R& recipe, Split split, optim::WeightAverage* average) {
  const NoGrad paused;
  recipe.optimizer().synchronize();  // rows that are behind (SparsePolicy::catch_up)
  std::optional<optim::WeightAverage::Swapped> averaged;
  if (average != nullptr) averaged.emplace(*average);
  return recipe.evaluate(split);
}

template <Recipe R>
void start(R& recipe, TrainSession& session) {
  session.start_fresh();
  if constexpr (SequentialBatches<R>) recipe.begin_epoch(0);
}

/// Brings recipe, session and averages (if not null) to where `checkpoint` was saved.
template <Recipe R>
void restore(R& recipe, TrainSession& session, const Checkpoint& checkpoint, optim::WeightAverage* average) {
  checkpoint.load(recipe.parameters(), recipe.optimizer(), average);
  session.start_from(checkpoint);
  const TrainState& s = session.state();
  if constexpr (SequentialBatches<R>)
    if (s.position > 0) recipe.begin_epoch(s.epoch);
  if constexpr (HasState<R>) recipe.set_state(s.recipe);
  if constexpr (SequentialBatches<R>)
    if (s.position == 0) recipe.begin_epoch(s.epoch);
}

/// Trains until a reason to stop; the session has been started and, on resume, the recipe restored. Throws NumericalError for a loss,
/// gradient or validation metric that is not finite (nothing is saved over then), IoError when saving fails for good.
template <Recipe R>
StopReason train(R& recipe, TrainSession& session, const EngineOptions& options, const Setup& setup, const CheckpointMeta& meta,
                 optim::WeightAverage* average) {
  const NamedTensors artifacts = [&] {
    if constexpr (HasArtifacts<R>) return recipe.artifacts();
    return NamedTensors{};
  }();
  const auto image = [&](const TrainState& state) {
    TrainState s = state;
    if constexpr (HasState<R>) s.recipe = std::as_const(recipe).state();
    return checkpoint_image(meta, recipe.parameters(), &recipe.optimizer(), s, artifacts, average);
  };
  const auto validate = [&] {
    const double start = wall_seconds();
    const Metrics metrics = evaluate_split(recipe, Split::validation, average);
    session.after_validation(metrics, wall_seconds() - start);
  };

  const TrainState& state = session.state();
  bool first_step = true;
  BatchStream<R> stream(recipe, state, options);
  StopReason reason = session.stop();
  try {
    for (; reason == StopReason::none; reason = session.stop()) {
      const std::vector<typename R::Batch> batches = stream.next(setup.batches_per_step, state);
      if (batches.empty()) {
        require<DataError>(state.position > 0, "train: epoch ", state.epoch + 1, " has no batch");
        if (session.end_epoch()) validate();
        if constexpr (SequentialBatches<R>)
          if (state.epoch < options.train.epochs) recipe.begin_epoch(state.epoch);
      } else {
        const double rate = std::as_const(recipe).learning_rate(state.step);
        const StepLoss<R> loss =
            train_step(recipe, std::span(batches), {.seed = setup.seed, .step = state.step}, rate, options.train.clip_norm);
        if (std::exchange(first_step, false) && !loss.without_gradient.empty()) session.say(without_gradient_text(loss.without_gradient));
        if (average != nullptr) {
          recipe.optimizer().synchronize();
          average->update(state.step + 1);
        }
        double items = 0;
        for (const auto& b : batches) items += items_of(std::as_const(recipe), b, setup);
        session.after_step({.sums = loss.sums,
                            .counts = loss.counts,
                            .gradient_norm = loss.gradient_norm,
                            .learning_rate = rate,
                            .items = items,
                            .batches = static_cast<std::int64_t>(batches.size()),
                            .loader_wait = stream.wait_seconds()});
        if (session.validation_due()) validate();
      }
      if (session.checkpoint_due()) session.save(image);
    }
    if (reason != StopReason::signal && !session.validated_now()) validate();
  } catch (const NumericalError& e) {
    session.record_failure(e.what(),
                           [&](const TrainState& s) { return checkpoint_image(meta, recipe.parameters(), nullptr, s, artifacts); });
    throw;
  }
  if (!session.saved_now() || session.checkpoint_due()) session.save(image);
  session.finish(reason);
  return reason;
}

}  // namespace capstan::engine
