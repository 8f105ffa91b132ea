#pragma once
// Run: what a forward pass must know beside its inputs — training or not, where its random numbers come from,
// and what it keeps.
// Modules take it as `const Run&`. Nothing random is a state: a dropout decision is a function of (seed, step, place, row, column).

#include <cstdint>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/core/tensor.h"

namespace capstan::nn {

struct RunningUpdate;  // running_update.h

struct Run {
  bool training = false;
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  /// Optional i64 [n]: numbers that name the leading rows of a batch (n divides the number of elements of what is dropped out) in the whole
  /// data set's step, such as global sample index * T + t for [B, T, C]. Dropout of a row then does not depend on how samples are batched.
  /// Undefined: the place of an element in the batch decides.
  Tensor token_ids = {};
  /// Layers of transformers are computed again in backward instead of keeping their activations (autograd/tape/checkpoint.h).
  bool checkpoint_activations = false;
  /// Where the steps of running statistics go, in the order in which they come up. Null: they are made at once.
  std::vector<RunningUpdate>* running_updates = nullptr;

  /// The key of a place (Scope::key) in this step.
  std::uint64_t dropout_key(std::uint64_t place) const {
    return mix_key(mix_key(random_key(seed, "dropout"), static_cast<std::uint64_t>(step)), place);
  }
};

}  // namespace capstan::nn
