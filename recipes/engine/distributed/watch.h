#pragma once
// Watch: the whole run ends, and says why, when one of its processes is stopped, hangs, or is cut off. Without it the others wait for ever.
//
// Each process has a thread that tells rank 0 what it is doing, and rank 0's tells all, a few times in each limit, over connections of its
// own (TCP): whatever keeps MPI from answering does not keep these. Rank 0 judges all, itself too; the others judge rank 0 (watch_judge.h).
// Whoever finds a fault says it and ends all ranks. Not here: what to do about it; `--resume auto` in a loop, or the job system, starts
// again.
//
//     rank 1 on node7 has not answered for 60 s (last sign of life: step 41, backward)

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/distributed/watch_judge.h"

namespace capstan::engine {

class Watch {
 public:
  static constexpr int kExitCode = 70;
  struct Options {
    WatchJudge::Limits limits{};
    /// Called once, by the watch's thread. Default: the sentence to standard error, then abort(kExitCode).
    std::function<void(const std::string& fault)> on_fault{};
  };

  /// All ranks together, and with equal limits. IoError on all of them if one cannot be reached from rank 0: a run may go on unwatched.
  /// `comm` must live longer. A process that trains alone is not watched and has no thread.
  Watch(Comm& comm, Options options);
  /// Says goodbye: from here on this rank is not missed.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// `comm` as seen by the watch, which knows then who waits: for all calls while it is watched.
  Comm& comm();
  /// What this process is doing from now on, also a sign of progress: "backward". To be said more often than the stall limit by whoever
  /// computes alone while others wait (a long evaluation on one rank). Any thread; cheap.
  void note(std::int64_t step, std::string_view doing);

 private:
  class Counted;
  class Thread;
  Comm& comm_;
  std::unique_ptr<Counted> counted_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace capstan::engine
