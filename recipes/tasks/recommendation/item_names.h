#pragma once
// The names of items as artifacts of a checkpoint, and back.

#include <memory>
#include <string>
#include <vector>

#include "data/id_map.h"
#include "recipes/engine/recipe.h"

namespace capstan::recommendation {

void store_items(engine::NamedTensors& artifacts, const data::IdMap& names);
/// Null: there are none. Throws CheckpointError.
std::shared_ptr<const data::IdMap> stored_items(const engine::NamedTensors& artifacts);
/// In the order of their numbers; for engine::NamedRows.
std::vector<std::string> item_names_of(const engine::NamedTensors& artifacts);

}  // namespace capstan::recommendation
