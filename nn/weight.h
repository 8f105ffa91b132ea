#pragma once
// Mixed precision: parameters stay in f32, and a layer computes in the element type of its input.

#include "autograd/core/parameter.h"

namespace capstan::nn {

/// The parameter as a layer uses it beside x: its bf16 copy for an f32 parameter and bf16 x, else its value. (Other mixtures are mistakes,
/// which the op refuses.) No parameter gives an undefined tensor.
inline Tensor weight_for(const Parameter& parameter, const Tensor& x) {
  const bool narrow = parameter.defined() && parameter.dtype() == DType::f32 && x.dtype() == DType::bf16;
  return narrow ? parameter.bf16() : parameter.value();
}

}  // namespace capstan::nn
