#include "nn/stochastic_depth.h"

#include <algorithm>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"

namespace capstan::nn {

StochasticDepth::StochasticDepth(const Scope& scope, double rate) : rate_(rate), place_(scope.key()) {
  require<ConfigError>(rate >= 0 && rate < 1, scope.path(), ": the rate of stochastic depth must be in [0, 1): ", rate);
}

Tensor StochasticDepth::operator()(const Tensor& branch, const Run& run) const {
  if (!active_in(run) || branch.numel() == 0) return branch;
  const std::int64_t samples = branch.size(0);
  const bool named = run.token_ids.defined() && run.token_ids.numel() % samples == 0;
  const Tensor ids = named ? run.token_ids.contiguous() : Tensor{};
  const std::uint64_t key = run.dropout_key(place_);
  std::vector<double> factors;
  for (std::int64_t b = 0; b < samples; ++b) {
    const std::int64_t id = named ? ids.data<const std::int64_t>()[b * (ids.numel() / samples)] : b;
    factors.push_back(Rng(mix_key(key, static_cast<std::uint64_t>(id))).uniform() < rate_ ? 0.0 : 1.0 / (1.0 - rate_));
  }
  Shape shape{samples};
  while (shape.rank() < branch.rank()) shape = shape.inserted(shape.rank(), 1);
  return mul(branch, cast(Tensor::from(factors, shape), branch.dtype()));
}

double stochastic_depth_rate(std::int64_t layer, std::int64_t layers, double last) {
  return layers < 2 ? last : last * static_cast<double>(layer) / static_cast<double>(layers - 1);
}

}  // namespace capstan::nn
