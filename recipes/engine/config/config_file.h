#pragma once
// Configuration files: "key = value" lines below "[section]" lines, '#' for comments.
//
// '#' starts a comment at the start of a line or after a space. A value in quotes may hold '#'; elsewhere inside a value it is refused, not
// cut. One pair of quotes around a value belongs to the file, not to the value (value.h: unquoted).

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

inline constexpr std::string_view kCommandLineOrigin = "command line";

/// One "key = value" with the place it comes from.
struct Assignment {
  std::string key, value;
  std::string origin;  ///< "path:line" or "command line"
};

/// The assignments of a configuration file in its order. Sections "[train]" prefix the keys below them. Throws ConfigError naming every
/// faulty line, and for a key given twice both lines; IoError if the file cannot be read.
std::vector<Assignment> read_config_file(const std::string& path);
std::vector<Assignment> parse_config(std::string_view text, const std::string& path);

}  // namespace capstan::engine
