#include "recipes/engine/checkpoint/initial_weights.h"

#include <algorithm>
#include <optional>

#include "autograd/core/error.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/pretrained/foreign_model.h"
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

/// What init.from names.
struct Weights {
  Weights(const std::string& path, std::span<const ForeignForm> forms, AnyRecipe& recipe) {
    if (is_foreign(path)) {
      ForeignWeights foreign = foreign_weights(path, forms, recipe.parameters(), recipe.name());
      tensors = foreign.form.empty() ? resized(foreign.tensors, recipe) : std::move(foreign.tensors);
      heads = std::move(foreign.heads);
      text = join_text(tensors.name, foreign.form.empty() ? "" : " (" + foreign.form + ")");
      if (ModelDirectory::is(path)) {
        const ModelDirectory directory(path);
        artifacts = form_of(directory, forms, recipe.name()).directory.artifacts(directory);
      }
      return;
    }
    checkpoint.emplace(path, Checkpoint::Reading::in_parts);
    tensors = resized(checkpoint->weights(), recipe);
    artifacts = checkpoint->artifacts();
    text = join_text(checkpoint->path(), " (", checkpoint->meta().recipe, ", step ", checkpoint->step(), ")");
    if (checkpoint->meta().recipe == recipe.name()) return;
    for (const ForeignForm& f : forms)  // of a recipe for another task: the heads differ
      for (std::string& head : f.names({}).heads) heads.push_back(std::move(head));
  }
  /// Tensors with our names, of the sizes that the recipe has.
  static nn::TensorSource resized(const nn::TensorSource& own, AnyRecipe& recipe) {
    const nn::ForeignNames names = recipe.own_names();
    return names.pairs.empty() ? own : nn::translated(own, names, recipe.parameters());
  }
  std::optional<Checkpoint> checkpoint;
  nn::TensorSource tensors;
  std::vector<std::string> heads;  // paths of our parameters that the file may lack, or have others for
  NamedTensors artifacts;          // vocabulary, class names
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

/// Parameters of a head with a row for each class, and of another number in the file, which does not name its classes.
std::vector<std::string> other_heads(const nn::TensorSource& source, std::span<const NamedRows> rows, std::span<const nn::RowMap> maps,
                                     std::span<const std::string> heads) {
  std::vector<std::string> out;
  const auto is_head = [&](std::string_view name) {  // of our own form every parameter with a row for each class is of one
    return heads.empty() || std::ranges::any_of(heads, [&](const std::string& head) { return name.starts_with(head); });
  };
  for (const NamedRows& r : rows)
    for (const Parameter& p : r.parameters) {
      if (r.what != "classes" || !p.defined() || !is_head(p.name()) || std::ranges::find(maps, p.name(), &nn::RowMap::target) != maps.end())
        continue;
      const auto found = std::ranges::find(source.tensors, p.name(), &std::pair<std::string, Spec>::first);
      if (found != source.tensors.end() && found->second.shape.rank() > 0 && found->second.shape[0] != p.shape()[0])
        out.push_back(p.name());
    }
  return out;
}

/// Names that are none: what transformers call classes whose names nobody gave.
bool are_numbered(std::span<const std::string> names) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] != join_text("LABEL_", i)) return false;
  return true;
}

bool kept(const NamedRows& rows, std::string_view parameter) {
  return std::ranges::any_of(rows.parameters, [&](const Parameter& p) { return p.defined() && p.name() == parameter; });
}

}  // namespace

void InitOptions::validate() const {
  require<ConfigError>(!from.empty() || (rename.empty() && drop.empty() && fresh.empty() && strict), "init.",
                       !rename.empty() ? "rename" : (!drop.empty() ? "drop" : (!fresh.empty() ? "fresh" : "strict")),
                       ": there is no init.from that it could concern");
  renames_of(*this);
}

std::vector<nn::RowMap> row_maps(std::span<const NamedRows> rows, const NamedTensors& own, const NamedTensors& theirs) {
  std::vector<nn::RowMap> maps;
  for (const NamedRows& r : rows) {
    const std::vector<std::string> here = r.names(own), there = r.names(theirs);
    if (here == there || here.empty() || there.empty() || are_numbered(there)) continue;
    for (const Parameter& p : r.parameters)
      if (p.defined()) maps.push_back(nn::rows_by_name(p.name(), r.first, here, there));
  }
  return maps;
}

std::vector<std::string> start_from_weights(const InitOptions& options, std::span<const ForeignForm> forms, AnyRecipe& recipe) {
  return named_by("init.from", [&] { return take_weights(options, forms, recipe).said; });
}

TakenWeights take_weights(const InitOptions& options, std::span<const ForeignForm> forms, AnyRecipe& recipe) {
  const Weights file(expand_home(options.from), forms, recipe);
  const std::vector<NamedRows> rows = recipe.named_rows();
  if (file.checkpoint && rows.empty()) require_same_names(recipe, *file.checkpoint);
  const std::vector<nn::RowMap> maps = row_maps(rows, recipe.artifacts(), file.artifacts);
  nn::NameMap names{
      .renames = renames_of(options), .dropped = options.drop, .fresh = options.fresh, .heads = file.heads, .strict = options.strict};
  std::vector<std::string> heads = other_heads(file.tensors, rows, maps, file.heads);
  for (const std::string& head : heads) names.fresh.push_back(head);
  const nn::Imported done = nn::import_parameters(file.tensors, names, maps, recipe.parameters());

  std::vector<std::string> report{
      join_text("start: ", done.taken.size(), " of ", recipe.parameters().parameters().size(), " parameters from ", file.text)};
  for (const std::string& note : file.tensors.notes) report.push_back("start: " + note);
  for (const std::string& head : heads) report.push_back(join_text("start: ", head, " is for another number of classes"));
  for (const NamedRows& r : rows)
    for (const nn::RowMap& m : maps) {
      if (!kept(r, m.target) || std::ranges::find(done.taken, m.target) == done.taken.end()) continue;
      const auto fresh = std::ranges::count(m.rows, -1);
      report.push_back(join_text("start: ", m.target, " by the names of its ", r.what, ": ",
                                 static_cast<std::ptrdiff_t>(m.rows.size()) - r.first - fresh, " known, ", fresh, " at random"));
    }
  if (!done.fresh.empty()) report.push_back("start: at random: " + listed(done.fresh));
  if (!done.dropped.empty()) report.push_back("start: not taken from the file: " + listed(done.dropped));
  return {.said = std::move(report), .random = done.fresh};
}

}  // namespace capstan::engine
