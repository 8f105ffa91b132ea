#pragma once
// The losses of both pretraining tasks, as sums; the engine divides by the number of predictions and of sequences.

#include <array>

#include "autograd/core/tensor.h"
#include "nn/run.h"
#include "recipes/tasks/masked_lm/batch.h"
#include "recipes/tasks/masked_lm/network.h"

namespace capstan::masked_lm {

/// -log softmax(logits)[label] over the masked tokens, and over the pairs, or 0 where there are none: recorded scalars. The logits over the
/// vocabulary are never stored whole.
std::array<Tensor, 2> loss_sums(const Network& network, const Batch& batch, const nn::Run& run, bool next_sentence = true);

/// The logits over the vocabulary of what Network::transformed gives: [N, V].
Tensor vocabulary_logits(const Network& network, const Tensor& transformed);

}  // namespace capstan::masked_lm
