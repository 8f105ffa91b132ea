#include "recipes/engine/distributed/team.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// Where a process may run: its machine and the cores of its mask.
struct Seat {
  std::string host;
  std::vector<int> cores;
  int threads = 0;
  bool operator==(const Seat& other) const { return host == other.host && cores == other.cores; }
};

std::vector<Seat> seats(Comm& comm, int threads) {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> mine{threads};
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(static_cast<unsigned>(core), &set)) mine.push_back(core);
  std::vector<Seat> out;
  for (const auto& of : comm.gather(std::as_bytes(std::span(mine)))) {
    std::vector<int> numbers(of.size() / sizeof(int));
    std::memcpy(numbers.data(), of.data(), of.size());
    const int rank = static_cast<int>(out.size());
    out.push_back({.host = std::string(comm.host(rank)), .cores = {numbers.begin() + 1, numbers.end()}, .threads = numbers[0]});
  }
  return out;
}

/// "0-3,8"
std::string ranges(const std::vector<int>& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    text += join_text(text.empty() ? "" : ",", cores[i], last > i ? join_text("-", cores[last]) : std::string());
    i = last + 1;
  }
  return text;
}

}  // namespace

int processes_on_same_cores(Comm& comm) {
  const std::vector<Seat> all = seats(comm, 0);
  return static_cast<int>(std::ranges::count(all, all[static_cast<std::size_t>(comm.rank())]));
}

void require_same_run(Comm& comm, const OptionTable& table) {
  require_same(comm, "the program", join_text("a file of digest ", to_text(data::digest_file("/proc/self/exe"))));
  std::string text;
  for (const Option& option : table.options())
    if (option.concern != Concern::machine && option.key != "run.data") text += join_text(option.key, " = ", option.get(), "\n");
  require_same(comm, "the configuration", text);
}

std::string team_text(Comm& comm, int threads) {
  const std::vector<Seat> all = seats(comm, threads);
  std::string text =
      join_text(comm.size(), " processes of ", threads, threads == 1 ? " thread" : " threads", " each (", comm.transport(), "): ");
  for (std::size_t r = 0; r < all.size(); ++r)
    text += join_text(r == 0 ? "" : "; ", "rank ", r, " on ", all[r].host, ", cores ", ranges(all[r].cores));
  std::map<std::string, std::pair<int, std::vector<int>>> of_host;  // threads, cores
  for (const Seat& seat : all) {
    auto& [count, cores] = of_host[seat.host];
    count += seat.threads;
    cores.insert(cores.end(), seat.cores.begin(), seat.cores.end());
  }
  for (auto& [host, use] : of_host) {
    std::ranges::sort(use.second);
    const auto cores = std::unique(use.second.begin(), use.second.end()) - use.second.begin();
    if (use.first > cores)
      text += join_text("\nwarning: ", use.first, " threads share the ", cores, cores == 1 ? " core" : " cores", " of ", host,
                        ": they wait for each other");
  }
  return text;
}

}  // namespace capstan::engine
