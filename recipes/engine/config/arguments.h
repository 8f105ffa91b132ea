#pragma once
// The arguments of a command: its flags, and settings of a configuration.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/config/option_table.h"

namespace capstan::engine {

/// An option of a command, such as --resume.
struct Flag {
  std::string name;        ///< without dashes
  std::string value_name;  ///< "FILE"; empty: takes no value
  std::string help;
};

struct Arguments {
  std::vector<std::pair<std::string, std::string>> flags;  ///< as given, each at most once
  std::vector<Assignment> assignments;                     ///< key=value, --key=value, --key value
  bool has(std::string_view flag) const;
  /// The value of a flag, `otherwise` if it is not given.
  std::string value(std::string_view flag, std::string_view otherwise = {}) const;
};

/// Reads the arguments of a command: its flags and the keys of `table`. Names must be given in full; a value may hold '='. Throws
/// ConfigError.
Arguments parse_arguments(std::span<const std::string> arguments, std::span<const Flag> flags, const OptionTable* table);

}  // namespace capstan::engine
