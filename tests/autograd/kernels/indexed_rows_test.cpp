// Sums of rows by index, and a gather, for the shapes that are divided among threads.

#include "autograd/kernels/indexed_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "autograd/core/rng.h"

namespace capstan {
namespace {

Tensor random(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "indexed_rows"));
  Tensor t(shape, dtype);
  dispatch_floating("random", dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : t.span<T>()) v = T(static_cast<float>(rng.uniform(-1.0, 1.0)));
  });
  return t;
}

TEST(ScatterAddRows, AddsInOrderOnEveryPath) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const std::int64_t width : {1, 50, 600}) {
      SCOPED_TRACE(to_text(dtype) + " " + std::to_string(width));
      const std::int64_t count = 3000, rows_in_table = 37;
      Rng rng(random_key(3, "indices"));
      Tensor indices(Shape{count}, DType::i64);
      for (std::int64_t& i : indices.span<std::int64_t>()) i = rng.uniform(0, 1) < 0.5 ? 0 : static_cast<std::int64_t>(rng.uniform(0, 37));
      const Tensor rows = random(Shape{count, width}, dtype), table = random(Shape{rows_in_table, width}, dtype, 2);
      std::vector<double> expected = table.to_vector();
      const std::vector<double> values = rows.to_vector();
      for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t j = 0; j < width; ++j)
          expected[static_cast<std::size_t>(indices.data<std::int64_t>()[i] * width + j)] +=
              values[static_cast<std::size_t>(i * width + j)];
      kernels::scatter_add_rows(indices, rows, table);
      const std::vector<double> actual = table.to_vector();
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i],
                    dtype == DType::f64   ? 1e-11
                    : dtype == DType::f32 ? 2e-4
                                          : 0.005 * std::abs(expected[i]) + 1e-4);
    }
}

TEST(RowGroups, SortPositionsByRowInTheOrderOfFirstOccurrence) {
  const std::vector<std::int64_t> indices = {4, -1, 2, 4, 0, -7, 2, 4};
  const kernels::RowGroups groups(indices, 5);
  ASSERT_EQ(groups.count, 3);
  EXPECT_EQ(std::vector<std::int64_t>(groups.row.data(), groups.row.data() + 3), (std::vector<std::int64_t>{4, 2, 0}));
  EXPECT_EQ(std::vector<std::int64_t>(groups.start.data(), groups.start.data() + 4), (std::vector<std::int64_t>{0, 3, 5, 6}));
  EXPECT_EQ(std::vector<std::int64_t>(groups.order.data(), groups.order.data() + 6), (std::vector<std::int64_t>{0, 3, 7, 2, 6, 4}));
  EXPECT_THROW(kernels::RowGroups({indices.data(), 3}, 4), ShapeError);
}

TEST(ScatterAddRows, KeepsNaNInItsRow) {
  const Tensor table = Tensor::zeros(Shape{3, 2}), indices = Tensor::from<std::int64_t>({2, 2, 0}, Shape{3});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  kernels::scatter_add_rows(indices, Tensor::from<float>({nan, 1, 1, 1, 5, 6}, Shape{3, 2}), table);
  const std::vector<double> v = table.to_vector();
  EXPECT_EQ((std::vector<double>{v[0], v[1], v[2], v[3], v[5]}), (std::vector<double>{5, 6, 0, 0, 2}));
  EXPECT_TRUE(std::isnan(v[4]));
}

TEST(ScatterAddRows, NamesAnIndexOutsideTheTable) {
  const Tensor table = Tensor::zeros(Shape{3, 2}), rows = Tensor::zeros(Shape{2, 2});
  try {
    kernels::scatter_add_rows(Tensor::from<std::int64_t>({1, 3}, Shape{2}), rows, table);
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "scatter_add_rows: every index must name a row of the table: table f32[3, 2], index 1 is 3");
  }
  EXPECT_THROW(kernels::scatter_add_rows(Tensor::from<std::int64_t>({-1, 0}, Shape{2}), rows, table), ShapeError);
}

}  // namespace
}  // namespace capstan
