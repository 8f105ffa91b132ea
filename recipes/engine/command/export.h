#pragma once
// `capstan export`: the weights of a checkpoint for other programs.

#include <span>
#include <string>

#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// CHECKPOINT FILE.safetensors: the parameters that evaluate and predict use, under their own names with `.` for `/`; what init.from reads
/// again. Returns an exit code; throws ConfigError, CheckpointError or IoError.
int export_weights(std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
