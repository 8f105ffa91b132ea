#pragma once
// The losses over the real positions of a batch, as sums; the engine divides by the number of real positions.
// With s+ the score of the next item and s_j those of k drawn items:
//
//   bce              softplus(-s+) + sum_j softplus(s_j)                                          (Kang and McAuley 2018; k = 1)
//   ce               -log softmax(s)[next item] over all items 1 .. n; padding is no class
//   sampled_softmax  -s+ + log(exp s+ + sum_j exp s_j)                                            (Klenitskiy and Vasilev 2023)
//   gbce             (beta softplus(-s+) + sum_j softplus(s_j)) / (k + 1), alpha = k / (n - 1), beta = 1 - t (1 - alpha)
//                                                                                                 (Petrov and Macdonald 2023)
// Negatives of sampled_softmax and gbce are shared by the positions of a sequence.

#include <cstdint>

#include "autograd/core/tensor.h"
#include "nn/run.h"
#include "recipes/tasks/next_item/batch.h"
#include "recipes/tasks/next_item/network.h"
#include "recipes/tasks/next_item/options.h"

namespace capstan::next_item {

/// The sum of the loss, a recorded scalar; with loss.l2_embedding its term is added once for each real position, so that it survives the
/// division.
Tensor loss_sum(const Network& network, const Batch& batch, const LossOptions& options, const nn::Run& run);

/// What is known after the newest item of each sequence: [sequences, d].
Tensor last_hidden(const Network& network, const Batch& batch, const nn::Run& run);
/// The scores of all items for hidden states [n, d]: [n, items + 1], contiguous; entry 0 of a row is padding.
Tensor scores(const Network& network, const Tensor& hidden);

}  // namespace capstan::next_item
