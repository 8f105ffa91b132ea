#pragma once
// The states that a recurrent network carries from step to step, for many sequences side by side: row m of each tensor is slot m's.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"

namespace capstan::nn {

/// The state of every layer, [M, width of the layer].
using Hidden = std::vector<Tensor>;

/// Prepares the states of the last step for the next one, of reset.size() slots: row m becomes row kept[m] (all rows as they are if `kept`
/// is empty), then zero where reset[m]. `hidden` may be empty: all rows zero. `start` makes zero states for a number of slots. What comes
/// in is not changed, since a tape may still need it.
Hidden continued(const Hidden& hidden, const std::function<Hidden(std::int64_t slots)>& start, std::span<const std::int32_t> kept,
                 std::span<const std::uint8_t> reset);

}  // namespace capstan::nn
