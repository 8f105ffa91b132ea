#include "recipes/engine/pretrained/adopted.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/pretrained/foreign_model.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// What a checkpoint says.
std::vector<Assignment> settings_of(const Checkpoint& file) {
  std::vector<Assignment> all = translated(parse_config(file.meta().config, file.path()));
  for (Assignment& a : all) a.origin = file.path();
  return all;
}

/// Whether an option goes with the weights of a checkpoint: what the model is and how its input is made; where the run itself goes on, all
/// that the checkpoint decides over.
bool goes_along(const Option& option, bool resumed) {
  if (option.concern != Concern::model) return false;
  return resumed ? option.key.starts_with("model.") || option.key.starts_with("data.")
                 : option.key.starts_with("model.") || option.prepares_input;
}

std::optional<std::string> newest_sound(const std::string& run_directory) {
  for (std::string& path : checkpoints_of(run_directory)) {
    try {
      const Checkpoint file(path, Checkpoint::Reading::in_parts);
      return std::move(path);
    } catch (const CheckpointError&) {  // the resume says that it passes over it
    }
  }
  return std::nullopt;
}

}  // namespace

InitialModel initial_model(const InitOptions& options, const std::string& resume, const std::string& run_directory) {
  if (resume == "auto") {
    if (const auto newest = newest_sound(run_directory)) return {.path = *newest, .resumed = true};
  } else if (!resume.empty()) {
    return {.path = checkpoint_file(resume, run_directory, {"auto"}), .resumed = true};
  }
  return {.path = expand_home(options.from)};
}

std::vector<std::string> adopt_settings(OptionTable& table, const InitialModel& model, bool strict, std::span<const ForeignForm> forms,
                                        std::string_view recipe) {
  const bool directory = ModelDirectory::is(model.path);
  if (model.path.empty() || (!directory && is_foreign(model.path))) return {};  // a file of tensors says nothing
  std::vector<Assignment> said;
  std::vector<std::string_view> free_keys;
  if (directory) {
    const ModelDirectory theirs(model.path);
    const DirectoryForm& form = form_of(theirs, forms, recipe).directory;
    said = form.settings(theirs);
    free_keys = form.free_keys;
  } else {
    said = settings_of(Checkpoint(model.path, Checkpoint::Reading::in_parts));
  }
  std::vector<std::string> set;
  std::string refused;
  for (const Assignment& a : said) {
    Option* const option = table.find(a.key);
    if (option == nullptr || !(directory || goes_along(*option, model.resumed))) continue;
    const std::string before = option->get(), origin = option->origin;
    option->set(unquoted(a.value));
    const std::string theirs = option->get();
    if (origin == kDefaultOrigin) {
      option->origin = a.origin;
      set.push_back(join_text(a.key, " = ", theirs));
      continue;
    }
    option->set(before);
    const bool is_free = std::ranges::find(free_keys, a.key) != free_keys.end();
    if (before != theirs && directory && option->concern == Concern::model && strict && !is_free)
      refused += join_text("\n  ", a.key, " = ", before, " (", origin, "), the model has ", theirs);
  }
  require<ConfigError>(refused.empty(), model.path, ": these settings are not the model's:", refused,
                       "\nleave them out: the model's values count (init.strict = no lets yours count)");
  return set;
}

NamedTensors initial_artifacts(const InitialModel& model, std::span<const ForeignForm> forms, std::string_view recipe) {
  if (ModelDirectory::is(model.path)) {
    const ModelDirectory theirs(model.path);
    return form_of(theirs, forms, recipe).directory.artifacts(theirs);
  }
  if (model.path.empty() || is_foreign(model.path)) return {};
  return Checkpoint(model.path, Checkpoint::Reading::in_parts).artifacts();
}

}  // namespace capstan::engine
