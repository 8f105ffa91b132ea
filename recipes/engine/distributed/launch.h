#pragma once
// How this process was started: alone, or as one of several by a launcher, which says so in the environment.

#include <optional>
#include <string>

namespace capstan::engine {

struct Launch {
  std::optional<int> rank;  ///< of this process, where the launcher says it
  std::optional<int> size;  ///< processes that were started together; nothing: a launcher that only MPI can ask
  std::string by;           ///< what says so: "OMPI_COMM_WORLD_SIZE=4"; empty: no launcher

  /// Known to be alone: no launcher, or one that started one process.
  bool alone() const { return by.empty() || size == 1; }
};

/// Looks up the variables of mpirun (Open MPI; MPICH and its relatives; PMIx) and of Slurm's srun. A batch script is no task of srun,
/// though Slurm tells it the number of tasks of the job: there the program is alone. `variable`: std::getenv, or another one for tests.
Launch find_launch(const char* (*variable)(const char* name));
Launch find_launch();

}  // namespace capstan::engine
