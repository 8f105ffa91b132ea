// Grids of positions brought to other sizes: numbers of the implementations that ours must match, and properties.
#include "nn/grid_interpolation.h"

#include <gtest/gtest.h>

#include "autograd/tape/tape.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

std::vector<double> resized(const std::vector<double>& grid, std::int64_t from, std::int64_t to, Interpolation how) {
  const Tensor positions = Tensor::from(grid, {from * from, 1});
  return interpolate_grid(positions, {from, from}, {to, to}, how).to_vector();
}

const std::vector<double> kSmall{0, 1, 2, 3}, kLarge{1, 2, 4, 0, 5, 3, 2, 2, 8};

TEST(InterpolateGrid, Grows) {
  const std::vector<double> linear{0, .5, 1, 1, 1.5, 2, 2, 2.5, 3};
  expect_close(resized(kSmall, 2, 3, Interpolation::align_corners), linear, 1e-12, "align_corners");
  expect_close(resized(kSmall, 2, 3, Interpolation::bilinear), linear, 1e-12, "bilinear");
  expect_rounded(resized(kSmall, 2, 3, Interpolation::bicubic),
                 {-.260417, .326389, .913194, .913194, 1.5, 2.086806, 2.086806, 2.673611, 3.260417}, 6, "bicubic");
  expect_rounded(resized(kSmall, 2, 3, Interpolation::bicubic_antialias),
                 {-.197368, .368421, .934211, .934211, 1.5, 2.065789, 2.065789, 2.631579, 3.197368}, 6, "bicubic_antialias");
  expect_close(resized(kLarge, 3, 5, Interpolation::align_corners),
               {1, 1.5, 2, 3, 4, .5, 2, 3.5, 3.5, 3.5, 0, 2.5, 5, 4, 3, 1, 2.25, 3.5, 4.5, 5.5, 2, 2, 2, 5, 8}, 1e-12, "align_corners");
}

TEST(InterpolateGrid, Shrinks) {
  expect_close(resized(kLarge, 3, 2, Interpolation::align_corners), {1, 4, 2, 8}, 1e-12, "align_corners");
  expect_close(resized(kLarge, 3, 2, Interpolation::bilinear), {1.25, 3.5, 1.8125, 5.75}, 1e-12, "bilinear");
  expect_rounded(resized(kLarge, 3, 2, Interpolation::bicubic_antialias), {1.468519, 3.456055, 1.806423, 5.223122}, 6, "bicubic_antialias");
}

TEST(InterpolateGrid, KeepsConstantsAndTheSameSize) {
  for (const Interpolation how :
       {Interpolation::align_corners, Interpolation::bilinear, Interpolation::bicubic, Interpolation::bicubic_antialias}) {
    expect_close(resized(kLarge, 3, 3, how), kLarge, 1e-12, "same size");
    for (const std::int64_t to : {1, 2, 7})
      for (const double v : resized(std::vector<double>(16, 2.5), 4, to, how)) EXPECT_NEAR(v, 2.5, 1e-12);
  }
}

TEST(InterpolateGrid, TreatsRowsColumnsAndChannelsApart) {
  // Two rows, three columns, two channels: 10 row + column, and its negative.
  const Tensor positions = Tensor::from({0., 0., 1., -1., 2., -2., 10., -10., 11., -11., 12., -12.}, {6, 2});
  const Tensor out = interpolate_grid(positions, {2, 3}, {3, 5}, Interpolation::align_corners);
  std::vector<double> expected;
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 5; ++column)
      for (const double sign : {1, -1}) expected.push_back(sign * (5 * row + .5 * column));
  expect_close(out.to_vector(), expected, 1e-12, "grid");
}

TEST(InterpolateGrid, PassesItsGradient) {
  const Tensor positions = make_leaf(Tensor::from(kSmall, {4, 1}));
  Tape tape;
  const Tensor y = interpolate_grid(positions, {2, 2}, {3, 3}, Interpolation::bilinear), dy = Tensor::full({9, 1}, 1, DType::f64);
  // A corner feeds itself fully and its neighbours by halves and a quarter: (1 + 1/2)^2.
  expect_close(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(positions).dense().to_vector(), {2.25, 2.25, 2.25, 2.25}, 1e-12, "d");
}

}  // namespace
}  // namespace capstan::nn
