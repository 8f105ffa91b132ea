#pragma once
// TokenBatch: sequences of tokens as a network reads them, padded or packed (nn/token_layout.h). [PAD] stands behind a sequence.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"
#include "nn/token_layout.h"

namespace capstan::text {

/// A view of one sequence; its tokens from `first_segment` on are of segment 1.
struct TokenSequence {
  std::span<const std::int32_t> ids;
  std::int32_t first_segment = 0;
};

struct TokenBatch {
  Tensor ids;       ///< i64 [tokens], rows of the word table
  Tensor segments;  ///< i64 [tokens], 0 or 1
  nn::TokenLayout layout;
};

/// `length`: of a padded sequence, and the longest that one may have (ShapeError). Ids are not checked against a vocabulary. `keys`: where
/// the sequences are a part of a batch.
TokenBatch token_batch(std::span<const TokenSequence> sequences, std::int64_t length, bool packed, std::int32_t pad_id,
                       nn::KeysOfBatch keys = {});

}  // namespace capstan::text
