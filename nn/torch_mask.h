#pragma once
// The masks of PyTorch's attention layers as ours (attention.h): there a boolean mask says what may *not* be attended to, and heads are
// rows of the batch.

#include <cstdint>

#include "nn/attention.h"

namespace capstan::nn {

/// What torch.nn.MultiheadAttention.forward takes beside query, key and value. Undefined tensors are absent.
struct TorchMask {
  /// [L, S], or [B * heads, L, S] with row b * heads + head; u8: 1 is blocked; floating: added to the scaled scores.
  Tensor attn_mask = {};
  /// [B, S]; u8: 1 is padding; floating: added to the scores.
  Tensor key_padding_mask = {};
  /// Query i attends to keys 0 ... i, beside what the masks say. (In PyTorch a hint that the mask is the causal one: it is not needed
  /// then.)
  bool is_causal = false;
};

/// For attention with so many heads. Throws ShapeError or DTypeError.
AttentionMask attention_mask(const TorchMask& mask, std::int64_t heads);

}  // namespace capstan::nn
