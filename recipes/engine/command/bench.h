#pragma once
// `capstan bench`: the speed of training steps on random data, beside the matrix product rate of the same process.
//
// The bound of a step is the sum over its operations of the least time that each could take: whichever of its products and the bytes that
// it moves at least once is longer, at rates measured in this process.
//
// The FLOP of a step are those that a profile of it counts: two for each multiply-add of matrix products, convolutions, attention and
// recurrent layers, forward and backward. They are what is computed: padding counts, what is packed away does not, and frozen parameters
// have no product of their own. Only what checkpointed activations compute again is left out, since it brings the model no further.
//
// Several processes take a step together, each with its share of the batch. What the exchange of gradients costs shows in the same steps
// taken without it: efficiency = their time / the time of a step.
//
// MFU (model FLOP utilisation) = flops_per_step / step time / matmul rate. Both numbers come from one process within seconds of each
// other, so that a slow or busy machine does not distort their ratio.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/profile.h"
#include "optim/optimizer.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/engine/distributed/gradient_exchange.h"
#include "recipes/engine/profile/profile_table.h"
#include "recipes/engine/profile/rates.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {

struct BenchResult {
  std::string name;
  std::int64_t steps = 0;
  double step_seconds = 0;  ///< median
  double step_seconds_fastest = 0;
  double items_per_step = 0;
  double matmul_gflops = 0;                  ///< median of a large product of the same precision
  Rates rates = {};                          ///< measured right after the steps
  std::vector<profile::Event> profile = {};  ///< of `profiled_steps` further steps
  std::vector<ProfileLine> lines = {};       ///< of the profile, all its steps together
  std::int64_t profiled_steps = 0;
  double flops_per_step = 0;
  double bound_seconds = 0;     ///< the least time of a step's work at these rates (profile_table.h)
  std::int64_t peak_bytes = 0;  ///< of memory, before the rates were measured
  double system_share = 0;      ///< of the processor time of the timed steps
  double page_faults_per_step = 0;
  int threads = 0;
  int ranks = 1;
  double alone_seconds = 0;     ///< several processes: of a step of each without exchange, median
  double exchange_seconds = 0;  ///< of a step that its process waits for the exchange: what backward does not hide
  DType precision = DType::f32;
  double loss = 0;  ///< of the last step: a result without one was not training

  double items_per_second() const { return items_per_step / step_seconds; }
  double efficiency() const { return alone_seconds / step_seconds; }
  double mfu() const { return flops_per_step / step_seconds / (matmul_gflops * 1e9); }
};

/// Training steps of a recipe on a few different batches made beforehand (random ones where it has them): the loader is not what is timed.
class BenchSteps {
 public:
  static constexpr std::int64_t kDistinct = 4;  ///< steps whose batches differ

  /// `comm`: the processes that take steps together; null: alone.
  BenchSteps(AnyRecipe& recipe, const EngineOptions& options, Comm* comm = nullptr);
  /// The next step; its loss.
  double operator()();
  /// From now on each process takes steps for itself, or all together again.
  void exchange(bool on) { exchanges_ = on; }
  double exchange_seconds() const;
  double items_per_step() const;  ///< of this process

 private:
  AnyRecipe& recipe_;
  const EngineOptions& options_;
  TrainedOptimizer optimizer_;
  SelfComm alone_;
  GradientExchange own_, together_;
  bool exchanges_ = true;
  std::vector<std::vector<AnyBatch>> batches_;  // of each step
  std::int64_t step_ = 0;
};

/// Times `step` (which returns the loss) after `warmup` untimed calls; fills the fields that time gives, and matmul_gflops.
BenchResult measure_steps(const std::function<double()>& step, std::int64_t warmup, std::int64_t steps, DType precision);

/// Times BenchSteps.
BenchResult bench(AnyRecipe& recipe, const EngineOptions& options, std::int64_t steps, Comm* comm = nullptr);

/// One JSON line, or the same for people.
void print_bench(const BenchResult& result, bool json, std::ostream& out);

}  // namespace capstan::engine
