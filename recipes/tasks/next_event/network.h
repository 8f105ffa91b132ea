#pragma once
// Network: what the task asks of a model. Whatever takes one event of each session at a time and carries a state of fixed size fits.

#include <cstdint>
#include <functional>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/recurrent_state.h"
#include "nn/run.h"

namespace capstan::next_event {

struct Network {
  /// One event of each slot: inputs i64 [M], 0 .. n - 1. Takes the states before and leaves those after it (constants, f32); returns the
  /// output, [M, d].
  std::function<Tensor(const Tensor& inputs, nn::Hidden& hidden, const nn::Run& run)> step;
  /// Zero states for M slots.
  std::function<nn::Hidden(std::int64_t slots)> start;
  /// Scores of all items for outputs: [M, d] -> [M, n]. They are output . table[i] + bias[i]; training scores candidates alone.
  std::function<Tensor(const Tensor& output)> scores;
  Parameter table;  ///< [n, d]
  Parameter bias;   ///< [n]
  /// All parameters with a row for each item, [n, ...], these two among them.
  std::vector<Parameter> item_parameters = {};

  std::int64_t item_count() const { return table.size(0); }
};

/// Builds the network for a catalogue of n items below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t item_count)>;

}  // namespace capstan::next_event
