#pragma once
// ThreadComm: ranks that are threads of one process. For tests of everything that several processes do, and for programs that embed the
// engine; training on one machine has OpenMP for its cores.
//
// Sums are taken in the order of the ranks, so that they are the same bits in every run. What the ranks must agree on (the call, its sizes,
// the root) is checked: InternalError on all of them, which names two ranks that differ.

#include <functional>

#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

/// What abort() throws on its own rank, and run_ranks to its caller.
class RankAborted : public std::exception {
 public:
  RankAborted(int rank, int exit_code);
  const char* what() const noexcept override { return text_.c_str(); }
  int rank() const { return rank_; }
  int exit_code() const { return exit_code_; }

 private:
  int rank_, exit_code_;
  std::string text_;
};

/// Calls `body` on a thread for each rank and waits for all. If one throws or aborts, the calls of the others throw, those that wait and
/// those to come, and the first exception is thrown here. A rank that returns while another one waits for it is an InternalError.
/// Each thread has OpenMP's settings of a new one.
void run_ranks(int ranks, const std::function<void(Comm&)>& body);

}  // namespace capstan::engine
