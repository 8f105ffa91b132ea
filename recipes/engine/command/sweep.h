#pragma once
// `capstan sweep CONFIG key=a,b,c key2=x,y key3=z`: a run for each combination of values, one table in the end.
//
// Each run is `capstan train` in a process of its own, in a directory named by its values below run.dir. A second call of the same command
// goes on: runs that are done are passed over, others go on from their newest checkpoint. A run that fails is recorded and the others
// follow.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/configure.h"

namespace capstan::engine {

inline constexpr std::string_view kSweepTable = "sweep.tsv";  ///< in run.dir: what the table says, with all digits

/// A key with the values that it takes in turn, as they were given.
struct SweepAxis {
  std::string key, short_name;  ///< the last part of the key where no other axis has the same
  std::vector<std::string> values;
};
/// The settings of a command line as axes and as what all runs share. Values are separated by commas, those of a key that takes a list by
/// semicolons; quotes keep one together. Throws ConfigError for an empty value, one that stands twice, and a key that cannot be an axis.
struct SweepSettings {
  std::vector<SweepAxis> axes;
  std::vector<Assignment> shared;
};
SweepSettings sweep_settings(const OptionTable& table, std::span<const Assignment> assignments);

/// "learning_rate=0.01,batch_size=32": of these short names and values, as the name of a directory.
std::string sweep_directory_name(std::span<const std::pair<std::string, std::string>> values);

/// What a run is started with, in its process: the arguments of `capstan`; returns its exit code.
using StartRun = std::function<int(std::span<const std::string> arguments)>;

/// Returns 0 if all runs are done, 128 + the signal that stopped it, or else the code of the first run that failed.
int sweep(const RecipeEntry& recipe, const CommandLine& line, const Console& console, const StartRun& start);

}  // namespace capstan::engine
