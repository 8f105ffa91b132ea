#pragma once
// Batch: one step of M sessions side by side (data/sessions.h).

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/interactions.h"
#include "data/sessions.h"
#include "recipes/tasks/next_event/negatives.h"

namespace capstan::next_event {

struct Batch {
  Tensor inputs;                     ///< i64 [M]
  Negatives::Candidates candidates;  ///< [M + negatives]: the next events come first; nothing else where nothing is drawn
  // What the hidden rows of the step before go through first.
  std::vector<std::int32_t> kept;
  std::vector<std::uint8_t> reset;
  std::vector<std::int64_t> sessions = {};  ///< [M] which session each slot is in
};

/// A step as a batch with these candidates.
Batch make_batch(const data::SessionStep& step, Negatives::Candidates candidates);

/// The steps of an evaluation one by one, of `slots` sessions side by side. The events must outlive it.
std::function<std::optional<Batch>()> evaluation_steps(const data::Interactions& events, std::int64_t slots);

}  // namespace capstan::next_event
