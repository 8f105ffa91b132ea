#pragma once
// checkpoint: a part of a model that is computed again in backward instead of being remembered (Chen et al., "Training deep nets with
// sublinear memory cost", 2016). Only its inputs are kept; everything its operations would have kept for backward is gone when it
// returns. Results and gradients are the same bits as without, for a third more computing of that part; only
// the gradient of an input that the part reads more than once, and others read too, is summed in another order.
//
//     const std::vector<Tensor> y = checkpoint([&](std::span<const Tensor> in) { return std::vector{layer(in[0])}; }, {x});
//
// The function runs once now and once in backward, so it must be a function of its inputs and of leaves (parameters) alone: random
// decisions must come from keys, as everywhere here, and it must not write anything, such as running statistics. Parameters that it
// reads are found by themselves. What it captures must live until backward. Other values of a tape must be passed as inputs; using
// one that is not is an error.

#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"

namespace capstan {

using CheckpointedFunction = std::function<std::vector<Tensor>(std::span<const Tensor> inputs)>;

/// The phase of a profile in which it runs again, within that of backward.
inline constexpr std::string_view kRecomputePhase = "recompute";

/// fn(inputs). Without a recording tape it is just that.
std::vector<Tensor> checkpoint(CheckpointedFunction fn, std::span<const Tensor> inputs);
inline std::vector<Tensor> checkpoint(CheckpointedFunction fn, std::initializer_list<Tensor> inputs) {
  return checkpoint(std::move(fn), std::span(inputs.begin(), inputs.size()));
}

}  // namespace capstan
