#pragma once
// Batches of pairs for a network that writes one sequence while it reads another, and how an epoch is cut into them.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/recipe.h"

namespace capstan::translation {

/// Tokens of one pair: the source ends with [EOS]; the target begins with [BOS] and ends with [EOS].
struct EncodedPair {
  std::vector<std::int32_t> source, target;
  /// What the decoder is asked for: the target without [BOS].
  std::int64_t target_tokens() const { return static_cast<std::int64_t>(target.size()) - 1; }
};

/// One side: i64 [B, T], padding behind the real tokens.
struct Side {
  Tensor ids;
  Tensor real;  ///< u8 [B, T]
  Tensor keys;  ///< i64 [B * T], names of the tokens for dropout
  std::int64_t rows() const { return ids.size(0); }
  std::int64_t length() const { return ids.size(1); }
};

struct Batch {
  Side source, target;              ///< target: what the decoder reads, without [EOS]
  Tensor tokens;                    ///< i64 [N]: where the real ones are in the target's list of B * T
  Tensor labels;                    ///< i64 [N]: what follows each of them
  std::vector<std::int64_t> pairs;  ///< their numbers in the part
  std::int64_t target_tokens() const { return labels.numel(); }
};

/// These pairs, which have these numbers. `stride`: names of tokens for dropout are number * stride + position. Padding has the id `pad`.
Batch make_batch(std::span<const EncodedPair* const> pairs, std::span<const std::int64_t> numbers, std::int64_t stride, std::int32_t pad);
/// Those of `all` with these numbers.
Batch make_batch(std::span<const EncodedPair> all, std::span<const std::int64_t> numbers, std::int64_t stride, std::int32_t pad);
/// Sources alone, each with [EOS] at its end.
Side make_side(std::span<const std::span<const std::int32_t>> sequences, std::span<const std::int64_t> numbers, std::int64_t stride,
               std::int32_t pad);

/// The rows of a part of a batch, padded as it is; nothing: it has none.
std::optional<Batch> part_of(const Batch& batch, const engine::Part& part);

/// Numbers of pairs, batch by batch. Pairs of like lengths stand together, so that little is padded, and a batch has as many as fit into
/// `target_tokens` (padding not counted), at least one.
using BatchList = std::vector<std::vector<std::int64_t>>;
/// In an order that depends on (seed, epoch) alone; how many there are does not.
BatchList training_batches(std::span<const EncodedPair> pairs, std::int64_t target_tokens, std::uint64_t seed, std::int64_t epoch);
/// In the order of length.
BatchList evaluation_batches(std::span<const EncodedPair> pairs, std::int64_t target_tokens);

}  // namespace capstan::translation
