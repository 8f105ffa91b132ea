#include "recipes/engine/distributed/comm.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/launch.h"
#include "recipes/engine/distributed/parts.h"
#ifdef CAPSTAN_HAS_MPI
#include "recipes/engine/distributed/mpi_comm.h"
#endif

namespace capstan::engine {

const std::string& this_host() {
  static const std::string name = [] {
    std::array<char, 256> text{};
    return ::gethostname(text.data(), text.size() - 1) == 0 && text[0] != '\0' ? std::string(text.data()) : std::string("localhost");
  }();
  return name;
}

std::string_view SelfComm::host(int) const { return this_host(); }

std::vector<std::vector<std::byte>> SelfComm::gather(std::span<const std::byte> mine) {
  return {std::vector<std::byte>(mine.begin(), mine.end())};
}

void SelfComm::exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) {
  check_exchange(to, from, 0, 1);
  std::copy(to[0].begin(), to[0].end(), from[0].begin());
}

void SelfComm::abort(int exit_code) { std::_Exit(exit_code); }

std::unique_ptr<Comm> world() {
  const Launch launch = find_launch();
  if (launch.alone()) return std::make_unique<SelfComm>();
#ifdef CAPSTAN_HAS_MPI
  return mpi_world(launch);
#else
  // Without a number of processes only the ones behind the first know that they are not alone.
  require<ConfigError>(!launch.size && launch.rank == 0, "this process was started as one of several (", launch.by,
                       "), but the program was built without MPI: install an MPI library (Debian: libopenmpi-dev and openmpi-bin) and "
                       "build it again, with -DCAPSTAN_MPI=ON; or start one process");
  return std::make_unique<SelfComm>();
#endif
}

}  // namespace capstan::engine
