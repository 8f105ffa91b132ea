#pragma once
// The commands of `capstan` with their arguments and flags: what help, messages and completion are made from.

#include <span>
#include <string_view>
#include <vector>

#include "recipes/engine/config/arguments.h"

namespace capstan::engine {

inline constexpr std::string_view kSeeHelp = "\n`capstan --help` shows the commands";

/// A command, as help and completion show it.
struct CommandText {
  std::string_view name, arguments, help;
  std::vector<Flag> flags;
  bool on_recipe = true;  ///< its first argument is CONFIG
  /// That may be left out for the sake of --checkpoint.
  bool uses_checkpoint() const;
};
std::span<const CommandText> commands();
/// Throws ConfigError with the nearest name if there is no such command.
const CommandText& command_text(std::string_view name);
/// What the program ends with, as help and the manual page say it.
struct ExitText {
  std::string_view codes, meaning;
};
std::span<const ExitText> exit_texts();
/// The flags of a command, --help among them.
std::vector<Flag> flags_of(std::string_view command);

}  // namespace capstan::engine
