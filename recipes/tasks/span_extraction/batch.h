#pragma once
// Batch: windows padded to the full length, and the loss over them. The original's softmax is over all positions, and what the network
// makes of padding takes part in it: a packed batch would have another loss.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/tasks/span_extraction/network.h"
#include "recipes/tasks/span_extraction/questions.h"
#include "recipes/tasks/text/token_batch.h"

namespace capstan::span_extraction {

struct Batch : text::TokenBatch {
  Tensor answers;                     ///< i64 [2 B]: positions of the beginnings, then of the ends
  std::vector<std::int64_t> indices;  ///< numbers of the windows in their split; none for windows of no split
};

/// `length`: of a padded window. `first`: where the windows stand in the batch that they are a part of.
Batch make_batch(std::span<const Window> windows, std::int64_t length, std::int32_t pad_id, std::int64_t first = 0);
/// Full windows of random tokens.
Batch random_batch(std::int64_t windows, std::int64_t length, std::int64_t vocab_size, std::uint64_t key);

/// Logits f32 of each window's beginning, then of each one's end: [2 B, length].
Tensor position_logits(const Network& network, const text::TokenBatch& batch, const nn::Run& run);
/// The sum over windows of (cross-entropy of the beginning + cross-entropy of the end) / 2.
Tensor loss_sum(const Network& network, const Batch& batch, nn::Run run);

/// position_logits of each window.
std::vector<WindowLogits> window_logits(const Network& network, const text::TokenBatch& batch, const nn::Run& run);

}  // namespace capstan::span_extraction
