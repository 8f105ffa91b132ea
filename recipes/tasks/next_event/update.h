#pragma once
// Update: goes on from a model with the sessions of today, among them new items.

#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/tasks/next_event/network.h"

namespace capstan::next_event {

/// The rows of a checkpoint become the first rows of the parameters and of the optimiser's state, which have as many or more and otherwise
/// the same shapes; what is behind them stays as it is. `make` builds the network that the checkpoint is of. Throws CheckpointError if it
/// holds another model, or not the state of an optimiser of this kind.
void take_over(const engine::Checkpoint& from, const MakeNetwork& make, const nn::ParameterStore& parameters, optim::Optimizer& optimizer);

}  // namespace capstan::next_event
