#pragma once
// TokenLayout: where the tokens of sequences of different lengths lie in one list of tokens, padded or packed.
//
// Both forms are a list of tokens, sequence after sequence. Packed: only real tokens, those of sequence b are offsets[b] .. offsets[b + 1].
// Padded: `length` tokens a sequence, with padding behind them (Align::left) or in front (Align::right). A real token has the same position
// in both forms, and its key for dropout is b * length + position, so the two forms give the same numbers wherever a token is real. So does
// a part of a batch, if it is told where it stands in it.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"

namespace capstan::nn {

enum class Align : std::uint8_t {
  left,   ///< positions 0 .. n - 1
  right,  ///< positions length - n .. length - 1
};

struct TokenLayout {
  std::int64_t sequences = 0, length = 0;
  bool packed = true;
  Tensor positions;  ///< i64 [tokens], rows of a position table
  Tensor keys;       ///< i64 [tokens], of dropout (Run::token_ids)
  Tensor offsets;    ///< i64 [sequences + 1], of the real tokens
  Tensor first;      ///< i64 [sequences]: where the first real token of each sequence is in the list of all tokens
  Tensor last;       ///< i64 [sequences]: where the last one is
  Tensor real;       ///< padded: i64 [real tokens], where they are in the list of all tokens
  Tensor padding;    ///< padded: u8 [sequences, length], 1 = real

  std::int64_t tokens() const { return positions.numel(); }
  std::int64_t real_tokens() const { return offsets.data<const std::int64_t>()[sequences]; }
  /// i64 [sequences]: how many real tokens each has.
  Tensor lengths() const;
};

/// What the keys of a part need to be those of the whole batch.
struct KeysOfBatch {
  std::int64_t first = 0;   ///< the place of the part's first sequence in the batch
  std::int64_t length = 0;  ///< of the batch, at least that of the part; 0: that of the part
};

/// The layout of sequences with these lengths, 1 .. length each. Throws ShapeError.
TokenLayout token_layout(std::span<const std::int64_t> lengths, std::int64_t length, bool packed, Align align, KeysOfBatch keys = {});

}  // namespace capstan::nn
