#include "recipes/engine/checkpoint/initial_weights.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "autograd/core/error.h"
#include "data/safetensors.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

std::vector<nn::NameMap::Rename> renames_of(const InitOptions& options) {
  std::vector<nn::NameMap::Rename> out;
  for (const std::string& text : options.rename) {
    const auto equals = text.find('=');
    require<ConfigError>(equals != std::string::npos && text.size() > 1, "init.rename: expected old=new, got '", text, "'");
    out.push_back({std::string(trimmed(text.substr(0, equals))), std::string(trimmed(text.substr(equals + 1)))});
  }
  return out;
}

/// Tensors of a safetensors file, or of the set that an index names, with / for . in their names.
nn::TensorSource safetensors_source(const std::string& path) {
  const auto set = std::make_shared<const data::SafetensorsSet>(path);
  std::map<std::string, std::string, std::less<>> in_file;
  nn::TensorSource source{.name = path, .tensors = {}, .read = {}};
  for (const auto& [name, spec] : set->tensors()) {
    std::string ours = name;
    std::ranges::replace(ours, '.', '/');
    source.tensors.emplace_back(ours, spec);
    in_file.emplace(std::move(ours), name);
  }
  source.read = [set, in_file = std::move(in_file)](std::string_view name) { return set->read(in_file.find(name)->second); };
  return source;
}

/// What init.from names.
struct Weights {
  explicit Weights(const std::string& path) {
    if (path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json")) {
      tensors = safetensors_source(path);
      text = path;
      return;
    }
    checkpoint.emplace(path, Checkpoint::Reading::in_parts);
    tensors = checkpoint->weights();
    text = join_text(checkpoint->path(), " (", checkpoint->meta().recipe, ", step ", checkpoint->step(), ")");
  }
  std::optional<Checkpoint> checkpoint;
  nn::TensorSource tensors;
  std::string text;
};

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kShown ? join_text(text, ", ... (", names.size(), " in all)") : text;
}

/// A recipe that does not say which rows stand for names cannot start from a model that knows other ones.
void require_same_names(const AnyRecipe& recipe, const Checkpoint& file) {
  if (file.meta().recipe != recipe.name()) return;
  const NamedTensors own = recipe.artifacts(), theirs = file.artifacts();
  for (const auto& [name, tensor] : own)
    if (const auto found = theirs.find(name); found != theirs.end() && tensor.dtype() == DType::u8 && found->second.dtype() == DType::u8)
      require<CheckpointError>(tensor_text(tensor) == tensor_text(found->second), file.path(), ": knows other names than the data here (",
                               name, "), and the recipe ", recipe.name(), " does not say which rows stand for them (named_rows)");
}

bool kept(const NamedRows& rows, std::string_view parameter) {
  return std::ranges::any_of(rows.parameters, [&](const Parameter& p) { return p.defined() && p.name() == parameter; });
}

}  // namespace

void InitOptions::validate() const {
  require<ConfigError>(!from.empty() || (rename.empty() && drop.empty() && fresh.empty()), "init.",
                       !rename.empty() ? "rename" : (!drop.empty() ? "drop" : "fresh"), ": there is no init.from that it could concern");
  renames_of(*this);
}

std::vector<nn::RowMap> row_maps(std::span<const NamedRows> rows, const NamedTensors& own, const NamedTensors& theirs) {
  std::vector<nn::RowMap> maps;
  for (const NamedRows& r : rows) {
    const std::vector<std::string> here = r.names(own), there = r.names(theirs);
    if (here == there) continue;
    for (const Parameter& p : r.parameters)
      if (p.defined()) maps.push_back(nn::rows_by_name(p.name(), r.first, here, there));
  }
  return maps;
}

std::vector<std::string> start_from_weights(const InitOptions& options, AnyRecipe& recipe) {
  return named_by("init.from", [&] {
    const Weights file(expand_home(options.from));
    const std::vector<NamedRows> rows = recipe.named_rows();
    std::vector<nn::RowMap> maps;
    if (file.checkpoint && rows.empty()) require_same_names(recipe, *file.checkpoint);
    if (file.checkpoint) maps = row_maps(rows, recipe.artifacts(), file.checkpoint->artifacts());
    const nn::NameMap names{.renames = renames_of(options), .dropped = options.drop, .fresh = options.fresh};
    const nn::Imported done = nn::import_parameters(file.tensors, names, maps, recipe.parameters());

    std::vector<std::string> report{
        join_text("start: ", done.taken.size(), " of ", recipe.parameters().parameters().size(), " parameters from ", file.text)};
    for (const NamedRows& r : rows)
      for (const nn::RowMap& m : maps) {
        if (!kept(r, m.target) || std::ranges::find(done.taken, m.target) == done.taken.end()) continue;
        const auto fresh = std::ranges::count(m.rows, -1);
        report.push_back(join_text("start: ", m.target, " by the names of its ", r.what, ": ",
                                   static_cast<std::ptrdiff_t>(m.rows.size()) - r.first - fresh, " known, ", fresh, " at random"));
      }
    if (!done.fresh.empty()) report.push_back("start: at random: " + listed(done.fresh));
    if (!done.dropped.empty()) report.push_back("start: not taken from the file: " + listed(done.dropped));
    return report;
  });
}

}  // namespace capstan::engine
