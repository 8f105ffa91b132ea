#pragma once
// `capstan bench`: the speed of training steps on random data, beside the matrix product rate of the same process.
//
// MFU (model FLOP utilisation) = flops_per_step / step time / matmul rate. Both numbers come from one process within seconds of each
// other, so that a slow or busy machine does not distort their ratio.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "autograd/core/dtype.h"
#include "recipes/engine/any_recipe.h"

namespace capstan::engine {

struct BenchResult {
  std::string name;
  std::int64_t steps = 0;
  double step_seconds = 0;  ///< median
  double step_seconds_fastest = 0;
  double items_per_step = 0;
  std::optional<double> flops_per_step = {};  ///< nothing: the recipe does not say
  double matmul_gflops = 0;                   ///< median of a large product of the same precision
  double system_share = 0;                    ///< of the processor time of the timed steps
  int threads = 0;
  DType precision = DType::f32;
  double loss = 0;  ///< of the last step: a result without one was not training

  double items_per_second() const { return items_per_step / step_seconds; }
  double mfu() const { return flops_per_step.value_or(0) / step_seconds / (matmul_gflops * 1e9); }
};

/// Times `step` (which returns the loss) after `warmup` untimed calls; fills the fields that time gives, and matmul_gflops.
BenchResult measure_steps(const std::function<double()>& step, std::int64_t warmup, std::int64_t steps, DType precision);

/// GFLOP/s of one large matrix product as the ops run it, the median of several after a warm-up.
double matmul_rate(DType precision);

/// Training steps of a recipe on a few different batches made beforehand (random ones where it has them): the loader is not what is timed.
BenchResult bench(AnyRecipe& recipe, const EngineOptions& options, std::int64_t steps);

/// One JSON line, or the same for people.
void print_bench(const BenchResult& result, bool json, std::ostream& out);

}  // namespace capstan::engine
