#pragma once
// Whether a run may go on from a checkpoint, and what has changed since.

#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/config/option_table.h"

namespace capstan::engine {

/// The value that a key has in the configuration of a checkpoint; empty if it has none.
std::string stored_value(const Checkpoint& checkpoint, std::string_view key);

/// Refuses a checkpoint that a run with this configuration cannot go on from (other data, another seed or batch size); returns the other
/// settings that differ, for the log. Throws CheckpointError naming what differs.
std::vector<std::string> compare_for_resume(const Checkpoint& checkpoint, const CheckpointMeta& own, const OptionTable& table);

}  // namespace capstan::engine
