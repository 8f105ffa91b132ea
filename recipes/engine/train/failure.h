#pragma once
// What is known of a numerical failure: which operation, of which layer, for which samples, found by running the step again and looking at
// what every operation gives. Nothing of it costs a step that goes well.
//
// The first operation counts that gives a NaN or +infinity, or, if there is none, -infinity, which as a mask's number is usual. Samples are
// found by halving the batch as long as a part fails alone; batches that follow from each other stay whole.

#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {

struct FailedStep {
  const StepWork& work;  ///< this process's pieces
  StepKey key;
  BatchPlace drawn;        ///< of the first of its batches (BatchStream::drawn_at)
  std::int64_t parts = 1;  ///< that its batches are computed in
  double learning_rate = 0;
};

struct FailureReport {
  std::string where;  ///< " (epoch 2, batch 5): first in layer blocks/1/attention (softmax) for samples 17, 203"; empty outside of a step
  std::string json;   ///< nan_dump.json
};

/// `step`: null for a failure outside of a step. `comm`: the processes that have met the same failure and all call this; null: this one
/// alone. Parameters and statistics must be those before the step, which this may move.
FailureReport examine_failure(AnyRecipe& recipe, const TrainState& state, const FailedStep* step, const NumericalError& error, Comm* comm);

}  // namespace capstan::engine
