#pragma once
// Learned positions of a grid of patches, interpolated to another grid: a model trained at one resolution runs at others.
//
// Every form is linear and separable, so it is two matrix products, and differentiable.

#include <cstdint>
#include <utility>

#include "autograd/core/tensor.h"

namespace capstan::nn {

/// How values between the points of a grid are made.
enum class Interpolation {
  align_corners,      ///< bilinear, the corner points of both grids coincide
  bilinear,           ///< bilinear between pixel centres; outside of the outermost ones their value
  bicubic,            ///< cubic convolution (a = -0.75) between pixel centres, edge points repeated
  bicubic_antialias,  ///< cubic convolution (a = -0.5) between pixel centres, widened when shrinking; weights outside the grid are left out
};

/// Positions [rows * columns, C], row by row, for a grid of another size: [to rows * to columns, C]. The same tensor if the sizes agree.
Tensor interpolate_grid(const Tensor& positions, std::pair<std::int64_t, std::int64_t> from, std::pair<std::int64_t, std::int64_t> to,
                        Interpolation interpolation);

/// The side of a square grid of `count` points; 0: they are no square.
std::int64_t square_side(std::int64_t count);

/// The weights of one axis: [to, from] in f64, each row sums to 1.
Tensor interpolation_weights(std::int64_t from, std::int64_t to, Interpolation interpolation);

}  // namespace capstan::nn
