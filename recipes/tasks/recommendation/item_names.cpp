#include "recipes/tasks/recommendation/item_names.h"

#include "autograd/core/error.h"

namespace capstan::recommendation {
namespace {

constexpr std::string_view kNames = "item_names", kEnds = "item_name_ends";

}  // namespace

void store_items(engine::NamedTensors& artifacts, const data::IdMap& names) {
  artifacts.insert_or_assign(std::string(kNames), engine::text_tensor(names.names()));
  artifacts.insert_or_assign(std::string(kEnds), Tensor::from(names.ends(), Shape{names.size()}));
}

std::shared_ptr<const data::IdMap> stored_items(const engine::NamedTensors& artifacts) {
  const auto names = artifacts.find(kNames), ends = artifacts.find(kEnds);
  if (names == artifacts.end() || ends == artifacts.end()) return nullptr;
  const std::string text = engine::tensor_text(names->second);
  auto out = std::make_shared<data::IdMap>();
  std::int64_t begin = 0;
  for (const std::int64_t end : ends->second.span<const std::int64_t>()) {
    require<CheckpointError>(begin <= end && end <= static_cast<std::int64_t>(text.size()), "item names: artifact ", kEnds,
                             ": ends must grow up to ", text.size(), ", got ", end, " after ", begin);
    out->add(std::string_view(text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    begin = end;
  }
  require<CheckpointError>(out->size() == ends->second.numel(), "item names: artifact ", kNames, ": a name occurs twice");
  return out;
}

}  // namespace capstan::recommendation
