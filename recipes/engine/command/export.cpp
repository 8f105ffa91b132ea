#include "recipes/engine/command/export.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/safetensors.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/config/stored_config.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwnForm = "capstan", kWeights = "model.safetensors";

const RecipeEntry& entry_of(std::span<const RecipeEntry> recipes, const UsedModel& model) {
  const auto found = std::ranges::find(recipes, model.recipe(), &RecipeEntry::name);
  require<CheckpointError>(found != recipes.end(), "export: ", model.path(), ": its recipe '", model.recipe(),
                           "' is not one of this program");
  return *found;
}

/// Under our names, points for slashes.
std::vector<data::NamedTensor> own_tensors(const nn::ParameterStore& store, const std::string& path) {
  std::vector<data::NamedTensor> out;
  for (const Parameter& p : store.parameters()) {
    require<CheckpointError>(p.name().find('.') == std::string::npos, "export: ", path, ": the name ", p.name(),
                             " has a point, which would be read as a slash again");
    std::string name = p.name();
    std::ranges::replace(name, '/', '.');
    out.push_back({std::move(name), p.value()});
  }
  return out;
}

const ForeignForm& form_called(std::string_view as, std::span<const ForeignForm> forms, std::string_view recipe) {
  std::string known(kOwnForm);
  for (const ForeignForm& f : forms) {
    if (f.writes && f.name == as) return f;
    if (f.writes) known += join_text(", ", f.name);
  }
  throw ConfigError(join_text("export: --as for the recipe ", recipe, " must be one of ", known, ", got '", as, "'"));
}

/// A directory with nothing in it.
void make_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  require<IoError>(!error, path, ": cannot create the directory: ", error.message());
  for (const auto& entry : fs::directory_iterator(path, error))
    throw ConfigError(
        join_text("export: ", path, ": there is something in it (", entry.path().filename().string(), "); name a new directory"));
}

}  // namespace

int export_model(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  require<ConfigError>(
      arguments.size() >= 2 && !arguments[0].starts_with('-') && !arguments[1].starts_with('-'),
      "export: needs CHECKPOINT and FILE.safetensors or DIR\nusage: capstan export CHECKPOINT FILE.safetensors|DIR [--as FORM]");
  const Arguments given = parse_arguments(arguments.subspan(2), flags_of("export"), nullptr);
  const std::string to = expand_home(arguments[1]), from = expand_home(arguments[0]);
  const bool to_file = to.ends_with(".safetensors");

  const auto model = open_model(ModelDirectory::is(from) ? from : checkpoint_file(from, ""), "", recipes);
  const auto config = entry_of(recipes, *model).configuration();
  assign_stored(config->table(), model->config(), {}, false);
  config->finish();
  const std::vector<ForeignForm> forms = config->foreign_forms();
  const std::string as = given.value("as", kOwnForm);
  const ForeignForm* const form = as == kOwnForm ? nullptr : &form_called(as, forms, model->recipe());
  require<ConfigError>(to_file || (form != nullptr && form->directory.files), "export: --as ", as,
                       " writes a file, which must be called *.safetensors, got '", to, "'");

  if (form != nullptr && form->require_writable) form->require_writable();
  Setup setup = make_setup(config->engine(), Purpose::predict);
  setup.artifacts = model->artifacts();
  setup.values_wait = true;
  const auto recipe = config->make(setup);
  const UsedModel::Loaded loaded = model->load(*recipe, forms);
  require_whole(loaded, *model);
  for (const std::string& said : loaded.said) console.err << said << "\n";
  std::vector<data::NamedTensor> tensors;
  if (form == nullptr) {
    tensors = own_tensors(recipe->parameters(), model->path());
  } else {
    for (auto& [name, value] : nn::translated_back(form->names({}), recipe->parameters())) tensors.push_back({name, value});
  }
  std::string written = to;
  if (!to_file) {
    const auto files = form->directory.files(setup.artifacts);
    make_directory(to);
    for (const auto& [name, content] : files) data::write_file_durably(join_text(to, "/", name), std::string_view(content));
    written = join_text(to, "/", kWeights);
  }
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  if (form == nullptr) metadata.emplace(data::kSafetensorsChecksum, "");  // other programs' forms to the byte as these write them
  data::write_safetensors(written, tensors, metadata);
  std::int64_t numbers = 0;
  for (const data::NamedTensor& t : tensors) numbers += t.value.numel();
  console.out << to << ": " << tensors.size() << " tensors, " << numbers << " parameters, of " << model->path() << " (" << model->recipe()
              << ", step " << model->step() << ")" << (form == nullptr ? "" : join_text(" as ", form->program, " has it")) << "\n";
  return kOk;
}

}  // namespace capstan::engine
