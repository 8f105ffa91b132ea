#pragma once
// Batch: one step of M sessions side by side (data/sessions.h), or some neighbouring slots of one.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/interactions.h"
#include "data/sessions.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/next_event/negatives.h"

namespace capstan::next_event {

struct Batch {
  Tensor inputs;  ///< i64 [M]
  /// [slots + negatives]: the next events of these slots come first, then those of the step's others; nothing else where nothing is drawn.
  Negatives::Candidates candidates;
  // What the hidden rows of the step before go through first.
  std::vector<std::int32_t> kept;
  std::vector<std::uint8_t> reset;
  std::vector<std::int64_t> sessions = {};  ///< [M] which session each slot is in
  std::int64_t first = 0, slots = 0;        ///< the place of the first slot in its step, and how many the whole step has
  bool is_part = false;

  std::int64_t size() const { return inputs.numel(); }
};

/// A step as a batch with these candidates.
Batch make_batch(const data::SessionStep& step, Negatives::Candidates candidates);

/// The slots of a part of a step; nothing: it has none. Their rows of the step before are named in `kept`, since they are not all there
/// are.
std::optional<Batch> part_of(const Batch& step, const engine::Part& part);

/// The steps of an evaluation one by one, of `slots` sessions side by side. The events must outlive it. Of a share of the sessions, with
/// about as many events as the others; it may be empty.
std::function<std::optional<Batch>()> evaluation_steps(const data::Interactions& events, std::int64_t slots,
                                                       const engine::Part& share = {});

}  // namespace capstan::next_event
