#pragma once
// WatchJudge: from signs of life of the processes, and the time since, what is wrong with one. No clock, no thread, no network: watch.h.
//
// Three things are wrong. A process that sends no signs (stopped, its machine gone, the network cut). One whose connection ended without a
// goodbye (killed). And one that lives but does not come to a call of Comm that others are in, while nothing about it changes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace capstan::engine {

/// What a process says about itself. All are counts or descriptions of what it has begun; none goes back.
struct SignOfLife {
  std::int64_t step = 0;
  std::string doing;           ///< "backward"; empty: it has not said
  std::uint64_t notes = 0;     ///< times that it said something new
  std::uint64_t entered = 0;   ///< calls of Comm that it has begun; all processes make the same calls
  std::uint64_t finished = 0;  ///< calls of Comm that returned
  bool operator==(const SignOfLife&) const = default;
};

class WatchJudge {
 public:
  struct Limits {
    double silence_seconds = 60;  ///< without a sign
    double stall_seconds = 600;   ///< without progress, while others wait
    double lost_seconds = 5;      ///< after a connection ended: whoever started the processes may know more and ends them first
  };
  /// Watches `ranks` of those that run on `hosts`, and their progress only if that is all of them.
  WatchJudge(std::vector<std::string> hosts, const std::vector<int>& ranks, const Limits& limits);

  void heard(int rank, const SignOfLife& sign);
  void lost(int rank);  ///< its connection ended
  void left(int rank);  ///< it said that it is done: not watched any more

  /// Time passes: `seconds` since the last call, though no more of it counts than a part of the limits: who was not running itself, with
  /// the whole machine or alone, has heard nothing in that time for that reason. What is wrong then, in a sentence that names ranks and
  /// hosts.
  std::optional<std::string> pass(double seconds);

 private:
  struct Watched {
    bool watched = false, lost = false;
    bool heard = false, changed = false;  // since time passed last
    double silent = 0, gone = 0;          // seconds
    double still = 0;                     // seconds that others have waited for it and nothing about it changed
    SignOfLife sign;
  };
  std::string name(std::size_t rank) const;
  std::string last_sign(std::size_t rank) const;
  /// Whom those wait for that are in the furthest call: the ones that have not come to it, or, when all are in it, all. Nobody while one at
  /// the front does not wait.
  std::vector<std::size_t> find_awaited() const;

  std::vector<std::string> hosts_;
  Limits limits_;
  std::vector<Watched> all_;
  bool progress_;
};

}  // namespace capstan::engine
