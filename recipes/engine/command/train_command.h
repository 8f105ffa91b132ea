#pragma once
// `capstan train`: a run in its directory, new or gone on from a checkpoint, or what is looked at before one (--check, --lr-range).

#include "recipes/engine/command/command.h"

namespace capstan::engine {

/// Returns the exit code; on several processes each calls it. Throws what goes wrong.
int train_command(const Command& command);

}  // namespace capstan::engine
