#pragma once
// Rotations of pairs of numbers by angles that grow with the place of a token (Su et al. 2021, "RoFormer"): element i of the first half of
// a head's width and element i of the second half are a pair. Turned queries and keys make scores that depend on distances alone.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// x and y [batch, tokens, heads, width], contiguous; width is even.
struct RotaryShape {
  std::int64_t batch = 0, tokens = 0, heads = 0, width = 0;
};

/// y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin with cosines and sines [tokens, width / 2]; inverse: by the opposite angle. T: float,
/// bfloat16 (computed in float), double. In place is allowed.
template <class T>
struct Rotary {
  using Signature = void(const T* x, const Compute<T>* cosines, const Compute<T>* sines, bool inverse, T* y, const RotaryShape& shape);
  static Signature fast, reference;
};
inline constexpr Kernel<Rotary, float, bfloat16, double> rotary;

}  // namespace capstan::kernels
