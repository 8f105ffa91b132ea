#include "recipes/engine/pretrained/foreign_model.h"

#include <algorithm>
#include <memory>

#include "autograd/core/error.h"
#include "data/npz.h"
#include "data/safetensors.h"

namespace capstan::engine {
namespace {

bool is_safetensors(const std::string& path) { return path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json"); }

bool is_npz(const std::string& path) { return path.ends_with(".npz"); }

std::vector<std::string> names_of_tensors(const nn::TensorSource& source) {
  std::vector<std::string> out;
  for (const auto& [name, spec] : source.tensors) out.push_back(name);
  return out;
}

std::string listed(std::span<const ForeignForm> forms) {
  std::string text;
  for (const ForeignForm& f : forms) text += join_text(text.empty() ? "" : ", ", f.name, " (", f.program, ")");
  return text.empty() ? "none" : text;
}

}  // namespace

bool is_foreign(const std::string& path) { return is_safetensors(path) || is_npz(path) || ModelDirectory::is(path); }

nn::TensorSource foreign_tensors(const std::string& path) {
  if (is_npz(path)) {
    const auto archive = std::make_shared<const data::NpzReader>(path);
    return {.name = path, .tensors = archive->tensors(), .read = [archive](std::string_view name) { return archive->read(name); }};
  }
  const auto set = std::make_shared<const data::SafetensorsSet>(is_safetensors(path) ? path : ModelDirectory(path).weights());
  return {.name = set->path(), .tensors = set->tensors(), .read = [set](std::string_view name) { return set->read(name); }};
}

const ForeignForm& form_of(const ModelDirectory& directory, std::span<const ForeignForm> forms, std::string_view recipe) {
  for (const ForeignForm& f : forms)
    if (f.directory.holds && f.directory.holds(directory)) return f;
  const auto type = directory.config().find("model_type"), architecture = directory.config().find("architecture");
  const auto& said = type ? type : architecture;
  throw DataError(join_text(directory.path(), ": holds ",
                            said && said->is(data::Json::Kind::text) ? join_text("a model of the kind '", said->text(), "'")
                                                                     : "no model that config.json names the kind of",
                            "; the recipe ", recipe, " takes: ", listed(forms)));
}

ForeignWeights foreign_weights(const std::string& path, std::span<const ForeignForm> forms, const nn::ParameterStore& store,
                               std::string_view recipe) {
  const nn::TensorSource theirs = foreign_tensors(path);
  const std::vector<std::string> names = names_of_tensors(theirs);
  // A file of ours has the names of parameters with points for slashes.
  const auto own_name = [&](const std::string& name) {
    std::string slashed = name;
    std::ranges::replace(slashed, '.', '/');
    return std::ranges::find(store.parameters(), slashed, &Parameter::name) != store.parameters().end();
  };
  const auto form = std::ranges::find_if(forms, [&](const ForeignForm& f) { return f.fits(names); });
  if (form == forms.end() || std::ranges::count_if(names, own_name) * 2 > static_cast<std::ptrdiff_t>(names.size())) {
    require<DataError>(!ModelDirectory::is(path) || std::ranges::any_of(names, own_name), theirs.name,
                       ": its tensors have no names that the recipe ", recipe, " knows; it takes: ", listed(forms));
    return {.tensors = nn::translated(theirs, {}, store), .heads = {}, .form = ""};
  }
  nn::ForeignNames foreign = form->names(names);
  return {.tensors = nn::translated(theirs, foreign, store), .heads = std::move(foreign.heads), .form = std::string(form->program)};
}

}  // namespace capstan::engine
