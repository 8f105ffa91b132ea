#pragma once
// `capstan tokenize`: lines of text in, the pieces of a WordPiece vocabulary out.

#include <span>
#include <string>

#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// --vocab FILE [--cased]: answers each line of console.in with its pieces, one space between them, as it comes. Equal to
/// google-research/bert. Throws ConfigError, DataError, IoError.
int tokenize(std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
