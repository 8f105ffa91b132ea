#pragma once
// Mixed precision: parameters stay in f32, and a layer computes in the element type of its input.

#include "autograd/ops/elementwise.h"

namespace capstan::nn {

/// The parameter in x's element type: a differentiable copy for an f32 parameter and bf16 x, else the parameter itself. (Other mixtures are
/// mistakes, which the op refuses.) An undefined parameter stays undefined.
inline Tensor cast_like(const Tensor& parameter, const Tensor& x) {
  const bool narrow = parameter.defined() && parameter.dtype() == DType::f32 && x.dtype() == DType::bf16;
  return narrow ? cast(parameter, DType::bf16) : parameter;
}

}  // namespace capstan::nn
