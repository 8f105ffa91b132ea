#pragma once
// Batch: pretraining instances as the model reads them, padded or packed, and what their losses need.
//
// Both forms are a list of tokens, sequence after sequence. Packed: only real tokens, those of sequence b are offsets[b] .. offsets[b +
// 1]. Padded: `length` tokens a sequence, [PAD] behind. The key of a token for dropout is b * length + position in both, so the two
// forms give the same numbers wherever a token is. Only real predictions are listed: there is nothing to weigh.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"
#include "data/text/pretraining.h"

namespace capstan::bert {

struct Batch {
  std::int64_t sequences = 0, length = 0;
  bool packed = true;
  Tensor ids;        ///< i64 [tokens], rows of the word table
  Tensor segments;   ///< i64 [tokens], 0 or 1
  Tensor positions;  ///< i64 [tokens], from 0
  Tensor keys;       ///< i64 [tokens], of dropout
  Tensor offsets;    ///< i64 [sequences + 1], of the real tokens
  Tensor padding;    ///< padded: u8 [sequences, length], 1 = real
  Tensor first;      ///< i64 [sequences]: where [CLS] is in the list of tokens
  Tensor masked;     ///< i64 [predictions]: where masked tokens are in the list of tokens
  Tensor labels;     ///< i64 [predictions]: their ids
  Tensor next;       ///< i64 [sequences]: 0 = B follows A, 1 = B is random

  std::int64_t real_tokens() const;
  std::int64_t predictions() const { return masked.numel(); }
};

/// `length`: of a padded sequence, and the longest that an instance may have (ShapeError). Ids are not checked against a vocabulary.
Batch make_batch(std::span<const data::Instance> instances, std::int64_t length, bool packed, std::int32_t pad_id);

/// Full sequences of random tokens, `predictions` masked in each.
Batch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t predictions, std::int64_t vocab_size, bool packed,
                   std::uint64_t key);

}  // namespace capstan::bert
