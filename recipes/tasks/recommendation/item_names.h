#pragma once
// The names of items as artifacts of a checkpoint, and back.

#include <memory>

#include "data/id_map.h"
#include "recipes/engine/recipe.h"

namespace capstan::recommendation {

void store_items(engine::NamedTensors& artifacts, const data::IdMap& names);
/// Null: there are none. Throws CheckpointError.
std::shared_ptr<const data::IdMap> stored_items(const engine::NamedTensors& artifacts);

}  // namespace capstan::recommendation
