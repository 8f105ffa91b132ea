#include "recipes/engine/train/trial_steps.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {
namespace {

EngineOptions without_end(EngineOptions options) {
  options.train.epochs = 1'000'000;
  return options;
}

}  // namespace

TrialSteps::TrialSteps(const Training& training, const EngineOptions& options)
    : training_(training),
      options_(without_end(options)),
      exchange_(alone_, training.recipe.parameters(), training.exchange),
      stream_(training.recipe, 0, 0, options_, {.parts = exchange_.parts(), .first = exchange_.first_part(), .end = exchange_.end_part()}) {
  training_.recipe.initialize(training_.optimizer);
  training_.recipe.begin_epoch(0);
}

StepLoss TrialSteps::next(double learning_rate) {
  throw_if_stopped();
  AnyRecipe& recipe = training_.recipe;
  StepWork work = stream_.next(recipe.setup().batches_per_step, position_);
  if (work.batches == 0) {
    require<DataError>(position_ > 0, "train: epoch ", epoch_ + 1, " has no batch");
    position_ = 0;
    recipe.begin_epoch(++epoch_);
    work = stream_.next(recipe.setup().batches_per_step, position_);
    require<DataError>(work.batches > 0, "train: epoch ", epoch_ + 1, " has no batch");
  }
  position_ += work.batches;
  StepGradients gradients = clipped_step(
      recipe, work, {.seed = recipe.setup().seed, .step = step_++, .checkpoint_activations = options_.train.checkpoint_activations},
      options_.train.clip_norm, exchange_);
  update(training_.optimizer, gradients, learning_rate);
  return std::move(gradients.loss);
}

}  // namespace capstan::engine
