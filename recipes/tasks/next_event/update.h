#pragma once
// Update: goes on from a model with the sessions of today, among them new items.

#include <span>

#include "nn/import.h"
#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "recipes/engine/checkpoint/checkpoint.h"

namespace capstan::next_event {

/// Parameters and the optimiser's state become those of a checkpoint, items by their `rows`, as which those of new items stay as they are.
/// Throws CheckpointError if it holds another model, or not the state of an optimiser of this kind.
void take_over(const engine::Checkpoint& from, std::span<const nn::RowMap> rows, const nn::ParameterStore& parameters,
               optim::Optimizer& optimizer);

}  // namespace capstan::next_event
