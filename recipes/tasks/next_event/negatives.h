#pragma once
// The candidates of a step: the targets of the batch and, behind them, drawn items that all rows share.
//
// Items are drawn with replacement, with probability proportional to support ^ alpha; the draw is a function of (seed, epoch, step), so
// there is no cache to keep and nothing to save. The logQ correction uses the plain support P0: q log P0 for targets, q alpha log P0 for
// drawn items.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/sampler.h"
#include "recipes/tasks/next_event/options.h"

namespace capstan::next_event {

class Negatives {
 public:
  Negatives(std::span<const std::int64_t> support, const NegativeOptions& options, double logq, std::uint64_t seed);

  struct Candidates {
    Tensor items;       ///< i64 [M + count]
    Tensor correction;  ///< f32 [M + count], or undefined without logQ
  };
  Candidates candidates(std::span<const std::int32_t> targets, std::int64_t epoch, std::int64_t step) const;

 private:
  NegativeOptions options_;
  data::DiscreteSampler sampler_;
  std::vector<float> in_batch_, drawn_;  // corrections by item; empty without logQ
  std::uint64_t seed_;
};

}  // namespace capstan::next_event
