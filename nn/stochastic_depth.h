#pragma once
// Stochastic depth (Huang et al., "Deep networks with stochastic depth", 2016), by sample: in training the branch of a residual connection
// is left out for a share of the samples and scaled by 1 / (1 - rate) for the others, so that its expectation stays what it was. Which
// samples depends on (seed, step, place, sample) alone.

#include <cstdint>

#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

class StochasticDepth {
 public:
  /// `rate` in [0, 1): the probability that a sample goes without the branch.
  StochasticDepth(const Scope& scope, double rate);

  /// branch [B, ...] with the samples that fall set to 0. Sample b is named by its number in run.token_ids, if that has a multiple of B
  /// numbers (then by the first of the sample's), otherwise by b.
  Tensor operator()(const Tensor& branch, const Run& run) const;

  bool active_in(const Run& run) const { return run.training && rate_ > 0; }

 private:
  double rate_;
  std::uint64_t place_;
};

/// The rate of a layer when the last one of `layers` has `last` and the rates rise linearly from 0.
double stochastic_depth_rate(std::int64_t layer, std::int64_t layers, double last);

}  // namespace capstan::nn
