#pragma once
// What the model in init.from says about the configuration of a new run: its shape, and how text or images are made ready for it.
//
// Options that the user has not set take the model's value. Of a model directory, one of the model itself that is set otherwise is refused,
// with both values; of a checkpoint it stays as it is set, and the parameters say whether they fit.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/config/option_table.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::engine {

/// Where a run comes from.
struct InitialModel {
  std::string path;      ///< empty: from nothing
  bool resumed = false;  ///< it is a checkpoint of the run itself, so that init.from is read no more
};
/// `resume`: what --resume says; empty: it is not given. Of `auto` the newest sound checkpoint below `run_directory` counts, if there is
/// one.
InitialModel initial_model(const InitOptions& options, const std::string& resume, const std::string& run_directory);

/// Returns what was set, "key = value" each. Throws ConfigError, DataError, IoError or CheckpointError.
std::vector<std::string> adopt_settings(OptionTable& table, const InitialModel& model, bool strict, std::span<const ForeignForm> forms,
                                        std::string_view recipe);

/// Vocabulary, class names and what else the model has beside its parameters; empty: it has none, or there is no model.
NamedTensors initial_artifacts(const InitialModel& model, std::span<const ForeignForm> forms, std::string_view recipe);

}  // namespace capstan::engine
