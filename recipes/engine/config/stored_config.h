#pragma once
// The configuration of a checkpoint where a finished model is used: what it decides, and what may be set beside it.
//
// Every option says what it concerns (option_table.h). Of the model and its input, and of the samples where they are evaluated, the
// checkpoint's value counts and another one is refused; of training alone it counts for nothing any more, and another one has no effect; of
// the use what is set counts, or else the checkpoint's value; of the machine what is set, or else the default.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/option_table.h"

namespace capstan::engine {

/// What is worth saying about a use of a checkpoint, a line each.
struct StoredConfigNotes {
  std::vector<std::string> unknown;   ///< stored, but no option here
  std::vector<std::string> replaced;  ///< by a file that says otherwise than the checkpoint
  std::vector<std::string> idle;      ///< set on the command line, and without effect
};

/// What a model says about its configuration.
struct StoredConfig {
  std::string_view text;  ///< as a file
  std::string place;      ///< where it stands: "run/best.h5:/meta/config"
  std::string path;       ///< of the model
  bool complete = true;   ///< it names every key; otherwise (of a model directory) it has no say over those that it does not name
};

/// Sets a table to a stored configuration, whose keys of earlier versions are translated, then to what is `given` beside it, the last
/// assignment of a key counting. `evaluates`: samples are evaluated. Throws CheckpointError for a stored value that is refused here;
/// ConfigError for unknown keys and refused values of `given`, and, naming all of them with both values, for settings of the model that
/// differ.
StoredConfigNotes assign_stored(OptionTable& table, const StoredConfig& stored, std::span<const Assignment> given, bool evaluates);

}  // namespace capstan::engine
