#pragma once
// Keys of earlier versions. In a file or on the command line they are errors that name the key of today; in the configuration that a
// checkpoint holds they are translated.

#include <string_view>
#include <vector>

#include "recipes/engine/config/config_file.h"

namespace capstan::engine {

/// What a key of an earlier version is called today; empty if it is none.
std::string_view renamed_key(std::string_view key);
/// The assignments under the keys of today.
std::vector<Assignment> translated(std::vector<Assignment> stored);

}  // namespace capstan::engine
