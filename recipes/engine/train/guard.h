#pragma once
// Guards: what is watched in every step of a run, besides that loss and gradient are finite (step.h) and what an update writes is
// (optim/optimizer.h). What is done about a step that fails is train.cpp, what is said of it failure.h.
//
// Spikes. A loss or a gradient norm that lies guard.spike_threshold standard deviations above the mean of the guard.spike_window steps
// before is one. Nothing is said before half of the window is filled. A deviation counts as at least a hundredth of the mean, so that a
// flat course makes no spike of a small change. A spike enters the window as what lies at the threshold: one does not hide the next, and a
// course that has moved to another level is believed after some steps. The last step of an epoch may have fewer samples than the others, a
// share s of them. Its gradient, where it is mostly noise, is longer by 1 / sqrt(s), which is taken off, and all of it varies more: it
// stands out only by 1 / s times as much, and enters no window. What is compared is part of a checkpoint, so that a run
// that was resumed judges as one that was not.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/parameter_store.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/train/guard_options.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {

/// Returns to one checkpoint after which the next spike ends the run.
inline constexpr std::int64_t kMostRewinds = 3;

struct Spike {
  std::string_view of;  ///< "loss" or "gradient norm"
  double value = 0, mean = 0, deviations = 0;
  std::int64_t steps = 0;  ///< that it was compared with
};
/// "loss 9.214 is 8.1 standard deviations above 3.105, the mean of 128 steps".
std::string to_text(const Spike& spike);

/// Judges a step and adds it to what the next ones are compared with. `share`: of the samples of a usual step that it has, at most 1.
std::optional<Spike> find_spike(const GuardOptions& options, GuardState& state, double loss, double gradient_norm, double share = 1);

/// "epoch 2, batch 5" or "epoch 2, batches 5 to 8", counted from 1, of a step of so many batches that begins here.
std::string place_text(const TrainState& state, std::int64_t batches);

/// What is not trained and yet moves in a forward pass, such as running statistics, as it was before the last one.
class StatisticsBefore {
 public:
  explicit StatisticsBefore(const nn::ParameterStore& parameters) : parameters_(parameters) {}
  /// Before a forward pass. The first time all that is not trained is copied, since it shows only then what moves.
  void keep();
  /// Undoes what has moved since.
  void put_back();

 private:
  struct Kept {
    Parameter parameter;
    Tensor value;
    std::uint64_t version;
    bool moves = false;
  };
  const nn::ParameterStore& parameters_;
  std::optional<std::vector<Kept>> kept_;
};

/// The rows of layers.jsonl: of each parameter that has a gradient the largest magnitude of its weights after a step and of its gradient
/// before clipping, and by how much the step has moved it, the norm of the change over that of the weights. The last is measured on up to
/// kSample elements spread over the parameter.
class LayerWatch {
 public:
  static constexpr std::int64_t kSample = 1 << 16;

  /// `every` 0: never.
  LayerWatch(const nn::ParameterStore& parameters, std::int64_t every, Comm* comm) : parameters_(parameters), every_(every), comm_(comm) {}
  bool due(std::int64_t step) const { return every_ > 0 && step % every_ == 0; }
  /// Before the update; all processes call it.
  void before(const StepGradients& step);
  /// After it.
  std::vector<JsonRow> rows(std::int64_t step) const;

 private:
  const nn::ParameterStore& parameters_;
  std::int64_t every_;
  Comm* comm_;
  std::vector<double> gradients_;             // largest magnitudes; -1: none
  std::vector<std::vector<double>> samples_;  // of the values
};

/// The forward pass of what is left out, for recipes whose next batch depends on the one before.
void pass_over(AnyRecipe& recipe, const StepWork& work, const StepKey& key, GradientExchange& exchange);

}  // namespace capstan::engine
