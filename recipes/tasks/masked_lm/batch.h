#pragma once
// Batch: pretraining instances as a network reads them, padded or packed (nn/token_layout.h), and what their losses need.
//
// [PAD] stands behind a sequence. Only real predictions are listed: there is nothing to weigh.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"
#include "data/text/pretraining.h"
#include "recipes/tasks/text/token_batch.h"

namespace capstan::masked_lm {

struct Batch : text::TokenBatch {
  Tensor masked;       ///< i64 [predictions]: where masked tokens are in the list of tokens
  Tensor labels;       ///< i64 [predictions]: their ids
  Tensor next;         ///< i64 [sequences]: 0 = B follows A, 1 = B is random
  bool begins = true;  ///< it is a whole batch or the first part of one

  std::int64_t predictions() const { return masked.numel(); }
};

/// `length`: of a padded sequence, and the longest that an instance may have (ShapeError). Ids are not checked against a vocabulary.
/// `first`: where the instances stand in the batch that they are a part of.
Batch make_batch(std::span<const data::Instance> instances, std::int64_t length, bool packed, std::int32_t pad_id, std::int64_t first = 0);

/// Full sequences of random tokens, `predictions` masked in each.
Batch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t predictions, std::int64_t vocab_size, bool packed,
                   std::uint64_t key);

}  // namespace capstan::masked_lm
