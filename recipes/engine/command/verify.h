#pragma once
// `capstan verify`: whether runs, checkpoints, prepared data and models are whole.
//
// Everything is read, and held against what the file says of itself: seal and checksums, sizes, names, numbers that other files repeat.
// Nothing is changed. Memory: the largest tensor, not the file.

#include <span>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// Writes a line for each file, "ok   path: what it is" or "BAD  path: what is wrong", and their numbers. Returns 0; 6 if a checkpoint is
/// bad, else 3 if another file is, else 4 if one cannot be read. A folder is a run, a model directory, or one whose files are looked at as
/// far as their kinds are known. Throws ConfigError for a path that is none of these.
int verify_files(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
