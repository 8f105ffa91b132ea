#pragma once
// Network: what the task asks of a model. Whatever turns sequences of items into a hidden state after each of them fits.

#include <cstdint>
#include <functional>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/token_layout.h"
#include "recipes/tasks/next_item/batch.h"

namespace capstan::next_item {

struct Network {
  SequenceForm form;
  /// items i64 [tokens], 1 .. n, 0 at padding -> [tokens, d], f32 or bf16: what is known after each item.
  std::function<Tensor(const Tensor& items, const nn::TokenLayout& layout, const nn::Run& run)> hidden;
  /// [n + 1, d]: the score of an item is the product of the hidden state with its row. Row 0 is padding.
  Parameter item_table;
  /// What loss.l2_embedding acts on beside the item table; may be undefined.
  Parameter position_table = {};
};

/// Builds the network for a catalogue of n items below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t item_count)>;

}  // namespace capstan::next_item
