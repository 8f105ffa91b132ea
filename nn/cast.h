#pragma once
// Mixed precision: parameters stay in f32, and a layer computes in the element type of its input.

#include "autograd/core/tensor.h"

namespace capstan::nn {

/// The parameter in x's element type: itself if it has that already, a differentiable copy for an f32 parameter and bf16 x. Any other
/// pair is left to the op, which refuses it. An undefined parameter stays undefined.
Tensor cast_like(const Tensor& parameter, const Tensor& x);

}  // namespace capstan::nn
