#pragma once
// `capstan report`: runs as a page to look at, and as files for other programs.

#include <span>
#include <string>

#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// Returns the exit code. Throws ConfigError, DataError, IoError.
int report_runs(std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
