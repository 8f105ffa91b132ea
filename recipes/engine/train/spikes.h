#pragma once
// What is done about spikes (guard.h), as guard.on_spike says:
//   warn     a line in the log; of those that follow within a window only the number is told, with the next line
//   skip     the step counts, but changes nothing: no parameter, no average, no state of the optimiser, no running statistic
//   stop     like skip; then the run is saved and ends with a NumericalError, so that a resume goes on behind the step
//   rewind   the run becomes what it was at its last checkpoint, and goes on behind the step: the steps since then do not count, and their
//            batches are left out as if they were done. After kMostRewinds returns to one checkpoint the next spike is a stop
// The checkpoint of a rewind is the last one that was due by checkpoint.every or, where that is 0, by a validation; those saved by the
// clock or at a signal lie elsewhere after an interruption. Where there is none yet, rewind is skip. The files of later steps are
// superseded and rows of later steps removed, as by a resume from it. What was left out is part of the state of the run.

#include <string>

#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/guard.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {

class SpikeGuard {
 public:
  /// Of a run that has been started or restored; all outlive this.
  struct Run {
    const Training& training;
    TrainSession& session;
    const GuardOptions& options;
    BatchStream& stream;
    GradientExchange& exchange;
    StatisticsBefore& statistics;
  };
  explicit SpikeGuard(const Run& run) : run_(run) {}

  enum class Verdict {
    learn,      ///< the step is as others
    leave_out,  ///< it updates nothing
    gone,       ///< the run has gone back, and the step is none of its own any more
  };
  /// After the forward and backward pass of a step. All processes call it, and come to the same.
  Verdict judge(const StepWork& work, const StepLoss& loss);
  /// What ends the run; empty: nothing does.
  const std::string& stopped_by() const { return stopped_by_; }

 private:
  void warn(const std::string& text);
  bool go_back(const std::string& text, const LeftOut& step);  ///< false if there is nothing to go back to

  Run run_;
  std::string stopped_by_;
  std::int64_t quiet_until_ = -1, quiet_ = 0;  // step; spikes that were not told
};

}  // namespace capstan::engine
