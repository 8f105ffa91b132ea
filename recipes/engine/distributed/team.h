#pragma once
// The start of a run of several processes: where they are, and that they are about to do the same thing.

#include <string>

#include "recipes/engine/config/option_table.h"
#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

/// How many processes of the run may use the very cores that this one may.
int processes_on_same_cores(Comm& comm);

/// Throws ConfigError on every rank unless all run this program with this configuration, but for what concerns the machine.
void require_same_run(Comm& comm, const OptionTable& table);

/// Who takes part, a line for people: "2 processes of 1 thread each (Open MPI 4.1.4): rank 0 on a, cores 0; rank 1 on b, cores 0-3", and a
/// second one with a warning where a machine has more threads than cores.
std::string team_text(Comm& comm, int threads);

/// `make` on rank 0 first, which may write files that all read, then on the others. `comm` may be null.
template <class Make>
auto first_then_others(Comm* comm, const Make& make) {
  if (comm != nullptr && comm->rank() != 0) comm->barrier();
  auto made = make();
  if (comm != nullptr && comm->rank() == 0) comm->barrier();
  return made;
}

}  // namespace capstan::engine
