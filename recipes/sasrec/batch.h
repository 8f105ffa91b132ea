#pragma once
// Batch: sequences of items as the model reads them, padded or packed, and what their loss needs.
//
// Both forms are a list of tokens, sequence after sequence. Packed: only real items, those of sequence b are tokens
// offsets[b] .. offsets[b + 1]. Padded: max_length tokens a sequence, right-aligned, 0 in front. A sequence of n items takes the
// positions max_length - n .. max_length - 1 in both forms, and the key of a token for dropout is b * max_length + position, so
// the two forms give the same numbers wherever an item is. Targets and candidates are always packed.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/sasrec/dataset.h"
#include "recipes/sasrec/options.h"

namespace capstan::sasrec {

struct Batch {
  std::int64_t sequences = 0, max_length = 0;
  bool packed = true;
  Tensor items;       ///< i64 [tokens]
  Tensor positions;   ///< i64 [tokens], rows of the position table
  Tensor keys;        ///< i64 [tokens], of dropout
  Tensor offsets;     ///< i64 [sequences + 1], of the real tokens
  Tensor real;        ///< padded: i64 [real tokens], where they are in the list of all tokens
  Tensor padding;     ///< padded: u8 [sequences, max_length], 1 = real
  Tensor last;        ///< i64 [sequences], the token of the newest item
  Tensor targets;     ///< i64 [real tokens]: the next items; undefined: only hidden states are wanted
  Tensor candidates;  ///< i64 [real tokens, 1 + k]: the next item and k drawn ones, for losses with negatives
  std::int64_t real_tokens() const { return offsets.span<const std::int64_t>().back(); }
};

/// What goes in: at most max_length model ids each, oldest first, and as many targets.
struct Sequence {
  std::span<const std::int32_t> items, targets;
};
/// Items are cut to the newest max_length. Throws DataError for an empty sequence.
Batch make_batch(std::span<const Sequence> sequences, const ModelOptions& model);

/// The training batch of places first .. first + count - 1 of an epoch. Negatives are drawn for each position (bce) or once for a
/// sequence, whose positions share them (gbce, sampled_softmax).
Batch training_batch(const Dataset& data, const ModelOptions& model, const LossOptions& loss, std::int64_t epoch, std::int64_t first,
                     std::int64_t count);

/// Puts the targets and `negatives` into batch.candidates: [real tokens, k], or [sequences, k] to be shared.
void set_candidates(Batch& batch, std::span<const std::int32_t> negatives, std::int64_t k, bool shared);

/// Random sequences of full length over `items` items, for measuring.
Batch random_batch(std::int64_t sequences, std::int64_t items, const ModelOptions& model, const LossOptions& loss, std::uint64_t seed);

}  // namespace capstan::sasrec
