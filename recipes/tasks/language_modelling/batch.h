#pragma once
// Batches of windows on a text.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"
#include "recipes/tasks/language_modelling/windows.h"

namespace capstan::language_modelling {

struct Batch {
  Tensor ids;        ///< i64 [B, T], a shorter window padded behind
  Tensor keys;       ///< i64 [B * T], names of the tokens for dropout
  Tensor predicted;  ///< i64 [N]: which of the B * T tokens predict; undefined: all do
  Tensor labels;     ///< i64 [N]: what follows each of them
  std::int64_t tokens() const { return labels.numel(); }
};

/// `numbers` name the windows: those of tokens are number * (the longest window's length) + position.
Batch make_batch(std::span<const std::int32_t> text, std::span<const Window> windows, std::span<const std::int64_t> numbers);

}  // namespace capstan::language_modelling
