#pragma once
// TrialSteps: training steps from the start of a run that leave nothing behind but the changed model: no records, no checkpoints, no
// validation. For what looks at a run before it is started.

#include <cstdint>
#include <optional>

#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {

class TrialSteps {
 public:
  /// On one process. Brings the recipe to the start of a run.
  TrialSteps(const Training& training, const EngineOptions& options);

  /// Does the next step, of the epoch after this one where it is over. Throws as clipped_step does, StopRequested if a signal asks for a
  /// stop.
  StepLoss next(double learning_rate);
  std::int64_t done() const { return step_; }
  double wait_seconds() const { return stream_.wait_seconds(); }  ///< for batches, so far

 private:
  const Training& training_;
  EngineOptions options_;
  SelfComm alone_;
  GradientExchange exchange_;
  BatchStream stream_;
  std::int64_t step_ = 0, epoch_ = 0, position_ = 0;
};

}  // namespace capstan::engine
