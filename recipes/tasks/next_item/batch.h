#pragma once
// Batch: sequences of items as a network reads them, padded or packed (nn/token_layout.h), and what their loss needs.
//
// Sequences stand at one end of max_length places: at the right, so that the newest item is always at the last one (SASRec), or at the
// left, with padding behind, which a network that walks from left to right (nn::Gru) never passes. Targets and candidates are packed in
// both forms.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/token_layout.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_item/dataset.h"
#include "recipes/tasks/next_item/options.h"

namespace capstan::next_item {

/// How a network wants its sequences.
struct SequenceForm {
  std::int64_t max_length = 50;
  bool packed = true;
  nn::Align align = nn::Align::right;
};

struct Batch {
  Tensor items;  ///< i64 [tokens], 0 at padding
  nn::TokenLayout layout;
  Tensor targets;     ///< i64 [real tokens]: the next items; undefined: only hidden states are wanted
  Tensor candidates;  ///< i64 [real tokens, 1 + k]: the next item and k drawn ones, for losses with negatives

  std::vector<Case> cases = {};  ///< of an evaluation
};

/// What goes in: at most max_length model ids each, oldest first, and as many targets.
struct Sequence {
  std::span<const std::int32_t> items, targets;
};
/// Items are cut to the newest max_length. `offset`: where the sequences stand in the batch that they are a part of. Throws DataError for
/// an empty sequence.
Batch make_batch(std::span<const Sequence> sequences, const SequenceForm& form, std::int64_t offset = 0);

/// A sequence to learn from: the first `end` of a user's training items, of which the newest fit.
struct TrainingWindow {
  std::int64_t user = 0, end = 0;
  bool operator==(const TrainingWindow&) const = default;
};
/// Those of all trainable users, one after another, each user's newest first. Every item but a user's first is a target once (all), or at
/// most once (last).
std::vector<TrainingWindow> training_windows(const Dataset& data, Windows windows, std::int64_t max_length);

/// The training batch of these sequences at the places first .. of an epoch, or a part of one that begins at the place `offset` of it.
/// Negatives are drawn for each position (bce) or once for a sequence, whose positions share them (gbce, sampled_softmax).
Batch training_batch(const Dataset& data, const SequenceForm& form, const LossOptions& loss, std::int64_t epoch, std::int64_t first,
                     std::span<const TrainingWindow> windows, std::int64_t offset = 0);
/// What precedes the targets of cases.
Batch evaluation_batch(const Dataset& data, const SequenceForm& form, std::vector<Case> cases);

/// Puts the targets and `negatives` into batch.candidates: [real tokens, k], or [sequences, k] to be shared.
void set_candidates(Batch& batch, std::span<const std::int32_t> negatives, std::int64_t k, bool shared);

/// Random sequences of full length over `items` items, for measuring.
Batch random_batch(std::int64_t sequences, std::int64_t items, const SequenceForm& form, const LossOptions& loss, std::uint64_t seed);

}  // namespace capstan::next_item
