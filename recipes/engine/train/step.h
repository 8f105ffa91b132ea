#pragma once
// One step of training, forward, backward, guard, clip, update.
//
// A recipe's loss is a sum of terms, each a mean: sum_k (sums[k] / counts[k]). The recipe gives the sums of a batch as recorded scalars,
// and what each is divided by, known from the batch before anything is computed (samples, real positions, masked tokens, or a constant).
// Counts are added over the batches of a step and backward starts with 1 / total, so accumulating micro batches equals one large batch
// whatever their sizes are. The log shows "loss" (the sum of the means) and, if there are several, every term under its name.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/gradient.h"
#include "autograd/core/rng.h"
#include "nn/run.h"
#include "optim/optimizer.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/distributed/gradient_exchange.h"
#include "recipes/engine/distributed/sharded_optimizer.h"

namespace capstan::engine {

/// What a step computes at once: a batch, or a part of one (distributed/gradient_exchange.h).
struct Piece {
  AnyBatch batch;
  std::int64_t number = 0;  ///< of the batch in the step
  std::int64_t place = 0;   ///< among the pieces of the step on all processes
};
/// A step: how many batches it has, which all processes share, and this process's pieces of them, by place.
struct StepWork {
  std::int64_t batches = 0;
  std::vector<Piece> pieces = {};
};
/// Whole batches, as one process computes them.
StepWork whole_batches(std::span<const AnyBatch> batches);

/// A warning that names parameters that got no gradient; empty if there are none.
std::string without_gradient_text(std::span<const std::string> names);

/// Names an optimiser step: the same values mean the same random numbers.
struct StepKey {
  std::uint64_t seed = 0;               ///< of the run
  std::int64_t step = 0;                ///< optimiser steps done before this one
  bool checkpoint_activations = false;  ///< of Run

  /// What the forward pass over the step's batch of this number knows.
  nn::Run run(std::int64_t batch) const {
    return {.training = true,
            .seed = random_key(seed, "step", {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(batch)}),
            .checkpoint_activations = checkpoint_activations};
  }
};

struct StepLoss {
  std::vector<double> sums = {}, counts = {};      ///< of the terms
  double items = 0;                                ///< of the batches
  double gradient_norm = 0;                        ///< before clipping
  std::vector<std::string> without_gradient = {};  ///< trainable parameters that nothing flowed to

  double total() const;
};

/// A step cannot go on, on all processes alike: its loss or its gradient is not finite, or a parameter is not after it.
class NotFinite : public NumericalError {
 public:
  enum class Of { loss, gradient, parameter };
  NotFinite(Of of, StepLoss loss, const std::string& message) : NumericalError(message), of_(of), loss_(std::move(loss)) {}
  Of of() const { return of_; }
  const StepLoss& loss() const { return loss_; }  ///< as far as it is known

 private:
  Of of_;
  StepLoss loss_;
};

struct StepGradients {
  StepLoss loss = {};
  std::vector<Gradient> gradients = {};  ///< in the order of the parameters
  bool of_shares = false;                ///< those of this process's shares (shares.h), not of whole parameters
  double scale = 1;                      ///< what clipping multiplies them by
};

/// Forward and backward over this process's pieces of a step, and the sums over those of all. What comes back is the same on every process,
/// but for gradients of shares.
/// Throws NotFinite if the loss is not finite, GraphError if it depends on no parameter, DataError if a count is 0.
StepGradients gradient_step(AnyRecipe& recipe, const StepWork& work, const StepKey& key, GradientExchange& exchange);
/// The same of whole batches on one process.
StepGradients gradient_step(AnyRecipe& recipe, std::span<const AnyBatch> batches, const StepKey& key);

/// gradient_step with the scale of clipping. Throws NotFinite if the loss or the gradient is not finite. clip_norm 0: no clipping.
StepGradients clipped_step(AnyRecipe& recipe, const StepWork& work, const StepKey& key, double clip_norm, GradientExchange& exchange);

/// Moves the parameters by what clipped_step gave.
void update(optim::Optimizer& optimizer, const StepGradients& step, double learning_rate);
/// The same on all processes. `tell` as of ShardedOptimizer::step.
void update(ShardedOptimizer& optimizer, const StepGradients& step, double learning_rate, bool tell = true);

/// The optimiser of a run, shared out among its processes where train.shard_optimizer says so.
class TrainedOptimizer {
 public:
  /// `comm`: the processes that train together; null: alone. Throws ConfigError unless all are told the same.
  TrainedOptimizer(const EngineOptions& options, AnyRecipe& recipe, Comm* comm);

  optim::Optimizer& optimizer() const { return sharded_ ? sharded_->own() : *whole_; }
  ShardedOptimizer* sharded() const { return sharded_.get(); }  ///< null: each process has all of it
  const ParameterShares* shares() const { return sharded_ ? &sharded_->shares() : nullptr; }

 private:
  std::unique_ptr<optim::Optimizer> whole_;
  std::unique_ptr<ShardedOptimizer> sharded_;
};

/// One optimiser step on one process: clipped_step and the update.
StepLoss train_step(AnyRecipe& recipe, optim::Optimizer& optimizer, std::span<const AnyBatch> batches, const StepKey& key,
                    double learning_rate, double clip_norm);

}  // namespace capstan::engine
