#pragma once
// The command average: one model from several checkpoints of a run, each weight the mean of theirs (checkpoint averaging: Vaswani et al.
// 2017).

#include <span>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// CHECKPOINT... FILE: writes a checkpoint that evaluates, predicts, is exported and started from, but does not go on training. Throws
/// CheckpointError unless all are of one recipe and shape, with the same artifacts, and ConfigError if the file is there already.
int average_checkpoints(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
