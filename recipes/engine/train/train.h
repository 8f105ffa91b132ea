#pragma once
// The train loop: step, log, validate, save, stop.
//
// A run that is stopped (signal, crash) and resumed does the same steps with the same numbers as one that was not: batches follow from
// (epoch, position), random numbers from (seed, step), and a checkpoint holds the rest.

#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/weight_average.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/distributed/gradient_exchange.h"
#include "recipes/engine/distributed/watch.h"
#include "recipes/engine/evaluate/evaluate.h"
#include "recipes/engine/profile/step_profile.h"
#include "recipes/engine/train/session.h"

namespace capstan::engine {

/// What is trained, and with what.
struct Training {
  AnyRecipe& recipe;
  optim::Optimizer& optimizer;  ///< of `sharded`, its own
  optim::Schedule schedule;
  Evaluator& evaluator;
  optim::WeightAverage* average = nullptr;  ///< null: without averages
  StepProfile* profile = nullptr;           ///< null: none is recorded
  Comm* comm = nullptr;                     ///< null: this process trains alone
  ExchangeOptions exchange = {};
  ShardedOptimizer* sharded = nullptr;  ///< null: each process has the state of the whole optimiser
  Watch* watch = nullptr;               ///< of several processes: is told what this one does
};

/// A new run.
void start(const Training& training, TrainSession& session);
/// Brings everything to where `checkpoint` was saved. `with_optimizer` false: the optimiser starts anew. Of several processes the first
/// one's session decides what comes of the comparison; all call this.
void restore(const Training& training, TrainSession& session, const Checkpoint& checkpoint, bool with_optimizer);

/// Trains until a reason to stop; the session has been started or restored. A signal is heard between steps, between the batches of a
/// validation (which then counts for nothing, and is made good on resume) and while the loader is waited for. Throws NumericalError for a
/// loss, gradient, parameter or validation metric that is not finite (nothing is saved over then, and a dump says what is known of it,
/// failure.h) and for a spike that ends the run (spikes.h), IoError when saving fails for good. Any other
/// error goes on after it was logged and, where the state is that of a whole step and of one process, what was learnt since the last save
/// was saved.
StopReason train(const Training& training, TrainSession& session, const EngineOptions& options, const CheckpointMeta& meta);

}  // namespace capstan::engine
