#include "recipes/tasks/recommendation/item_names.h"

#include <utility>

namespace capstan::recommendation {
void store_items(engine::NamedTensors& artifacts, const data::IdMap& names) { engine::store_ids(artifacts, "item", names); }

std::shared_ptr<const data::IdMap> stored_items(const engine::NamedTensors& artifacts) {
  data::IdMap names = engine::stored_ids(artifacts, "item");
  return names.size() > 0 ? std::make_shared<const data::IdMap>(std::move(names)) : nullptr;
}

std::vector<std::string> item_names_of(const engine::NamedTensors& artifacts) {
  return engine::names_of(engine::stored_ids(artifacts, "item"));
}

}  // namespace capstan::recommendation
