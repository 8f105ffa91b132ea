#include "nn/grid_interpolation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

/// The kernel of cubic convolution (Keys 1981) at distance x.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

}  // namespace

std::int64_t square_side(std::int64_t count) {
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<std::int64_t>(count, 0)))));
  return side * side == count ? side : 0;
}

Tensor interpolation_weights(std::int64_t from, std::int64_t to, Interpolation interpolation) {
  require(from > 0 && to > 0, "interpolation: sizes must be at least 1: from ", from, ", to ", to);
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  std::vector<double> weights(static_cast<std::size_t>(from * to));
  for (std::int64_t i = 0; i < to; ++i) {
    const auto add = [&](std::int64_t j, double w) {  // a place outside has the value of the nearest one inside
      weights[static_cast<std::size_t>(i * from + std::clamp<std::int64_t>(j, 0, from - 1))] += w;
    };
    const double centre = (static_cast<double>(i) + .5) * scale - .5;
    const auto lower = static_cast<std::int64_t>(std::floor(centre));
    switch (interpolation) {
      case Interpolation::align_corners: {
        const double at = to == 1 ? 0 : static_cast<double>(i) * static_cast<double>(from - 1) / static_cast<double>(to - 1);
        const auto before = std::min(static_cast<std::int64_t>(at), from - 1);
        add(before, 1 - (at - static_cast<double>(before)));
        add(before + 1, at - static_cast<double>(before));
        break;
      }
      case Interpolation::bilinear:
        add(lower, 1 - (centre - static_cast<double>(lower)));
        add(lower + 1, centre - static_cast<double>(lower));
        break;
      case Interpolation::bicubic:
        for (std::int64_t j = lower - 1; j <= lower + 2; ++j) add(j, cubic(centre - static_cast<double>(j), -.75));
        break;
      case Interpolation::bicubic_antialias: {
        const double wide = std::max(scale, 1.0);
        double sum = 0;
        for (std::int64_t j = 0; j < from; ++j) sum += cubic((centre - static_cast<double>(j)) / wide, -.5);
        for (std::int64_t j = 0; j < from; ++j) add(j, cubic((centre - static_cast<double>(j)) / wide, -.5) / sum);
        break;
      }
    }
  }
  return Tensor::from(weights, {to, from});
}

Tensor interpolate_grid(const Tensor& positions, std::pair<std::int64_t, std::int64_t> from, std::pair<std::int64_t, std::int64_t> to,
                        Interpolation interpolation) {
  require(positions.rank() == 2 && positions.size(0) == from.first * from.second,
          "interpolate_grid: positions must be [rows * columns, C]: ", "positions ", positions, ", rows ", from.first, ", columns ",
          from.second);
  if (from == to) return positions;
  const std::int64_t width = positions.size(1);
  const Tensor down = cast(interpolation_weights(from.first, to.first, interpolation), positions.dtype());      // [to rows, rows]
  const Tensor across = cast(interpolation_weights(from.second, to.second, interpolation), positions.dtype());  // [to columns, columns]
  const Tensor rows = matmul(down, reshape(positions, Shape{from.first, from.second * width}));                 // [to rows, columns C]
  const Tensor grid = matmul(across, reshape(rows, Shape{to.first, from.second, width}));                       // [to rows, to columns, C]
  return reshape(grid, Shape{to.first * to.second, width});
}

}  // namespace capstan::nn
