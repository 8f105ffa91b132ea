#pragma once
// Comm over MPI, version 3.1 or newer (Open MPI is what it is tested with). Only where the build found MPI; the only source that includes
// its header is mpi_comm.cpp.
//
// A rank that waits for others sleeps. MPI's own calls keep a core busy for as long as they wait, which takes it from the ranks that still
// compute where ranks share cores. So all calls begin by a meeting that sleeps, and MPI's call follows when everybody is there.
//
// Sums are the same bits on all ranks, but what they are depends on the number of ranks, the size, and the algorithm that MPI chooses.
//
// Errors: IoError with the call, the rank, its host and MPI's own words. There is no going on after one: abort().

#include <cstddef>
#include <memory>

#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/distributed/launch.h"

namespace capstan::engine {

/// All processes of the launch. Initialises MPI, which is finalised when the result ends: once in the life of a process. ConfigError if MPI
/// does not see as many processes as the launcher started. `most` elements go in one call of MPI, which counts them in an int.
std::unique_ptr<Comm> mpi_world(const Launch& launch, std::size_t most = std::size_t{1} << 30);

}  // namespace capstan::engine
