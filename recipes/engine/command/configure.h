#pragma once
// From a command on a recipe, as given, to its configuration: what the file, the command line, a checkpoint or the model in init.from say.

#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/config/arguments.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/pretrained/adopted.h"
#include "recipes/engine/pretrained/used_model.h"

namespace capstan::engine {

struct Console;

bool is_help(const std::string& argument);
void print_flags(std::span<const Flag> flags, std::ostream& out);

/// A command on a configuration, as given.
struct CommandLine {
  std::string command;                          ///< train, evaluate, predict, prepare, bench
  std::string config_path;                      ///< file; empty: the configuration is the checkpoint's
  std::string config_name;                      ///< "sasrec/ml1m", or the path as given, or that of the checkpoint
  std::vector<std::string> arguments;           ///< the rest
  std::shared_ptr<const UsedModel> model = {};  ///< that --checkpoint names; null: not given
};

/// Reads checkpoint, file and arguments into a configuration (stored_config.h). True if the command is answered already (--help,
/// --print-config).
bool configure(const CommandLine& line, AnyConfig& config, Arguments& arguments, const Console& console);

/// What a recipe is told, after cross-checks; sets the number of OpenMP threads. Throws ConfigError.
Setup make_setup(const EngineOptions& options, Purpose purpose, const Comm* comm = nullptr);
/// Where the run of a configuration is: what the command line says, the folder of a config.cfg that lies beside its checkpoints, what the
/// file says, or runs/<recipe>-<config>. Empty: without any of these there is none.
std::string run_directory(std::string_view on_command_line, std::string_view in_file, std::string_view recipe,
                          const std::string& config_path);

/// The same of a command whose configuration has been read, and the model that its run comes from.
std::string run_directory(const CommandLine& line, AnyConfig& config);
InitialModel initial_model_of(const CommandLine& line, const Arguments& arguments, AnyConfig& config);

}  // namespace capstan::engine
