#pragma once
// Dropout as a module: a rate and a place. Which elements fall depends on (seed, step, place, row) alone (nn/run.h).

#include <cstdint>

#include "autograd/core/error.h"
#include "autograd/ops/dropout.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

class Dropout {
 public:
  /// `rate` in [0, 1): the probability to drop.
  Dropout(const Scope& scope, double rate) : rate_(rate), place_(scope.key()) {
    require<ConfigError>(rate >= 0 && rate < 1, scope.path(), ": the dropout rate must be in [0, 1): ", rate);
  }

  /// x / (1 - rate) where kept, else 0; x itself when not training. x's elements, row-major, fall into as many equal groups as
  /// run.token_ids has numbers (its leading rows).
  Tensor operator()(const Tensor& x, const Run& run) const { return dropout(x, rate_in(run), key_in(run), run.token_ids); }

  // For fused ops that drop out inside.
  double rate_in(const Run& run) const { return run.training ? rate_ : 0.0; }
  std::uint64_t key_in(const Run& run) const { return run.dropout_key(place_); }

 private:
  double rate_;
  std::uint64_t place_;
};

}  // namespace capstan::nn
