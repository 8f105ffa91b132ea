// The tape's kernels: the fast ones against plain sums in double, for the shapes that take different paths.

#include "autograd/kernels/accumulate.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"

namespace capstan {
namespace {

Tensor random(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "accumulate"));
  Tensor t(shape, dtype);
  dispatch_floating("random", dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : t.span<T>()) v = T(static_cast<float>(rng.uniform(-1.0, 1.0)));
  });
  return t;
}

// sums[target index] over all elements of x, in double.
std::vector<double> expected_sum(const Tensor& x, const Shape& to) {
  std::vector<double> sums(static_cast<std::size_t>(to.numel()), 0.0);
  const std::vector<double> values = x.to_vector();
  for (std::int64_t e = 0; e < x.numel(); ++e) {
    std::int64_t rest = e, target = 0, stride = 1;
    for (int i = 1; i <= x.rank(); ++i) {
      const std::int64_t index = rest % x.size(-i);
      rest /= x.size(-i);
      if (i > to.rank()) continue;
      if (to[-i] != 1) target += index * stride;
      stride *= to[-i];
    }
    sums[static_cast<std::size_t>(target)] += values[static_cast<std::size_t>(e)];
  }
  return sums;
}

TEST(SumToShape, MatchesSumsInDoubleOnEveryPath) {
  const std::vector<std::pair<Shape, Shape>> cases = {
      {{7, 5}, {5}},
      {{25600, 50}, {50}},
      {{3000, 768}, {768}},
      {{1000, 1537}, {1537}},
      {{40, 2}, {2}},
      {{5, 300}, {5, 1}},
      {{2, 100000}, {2, 1}},
      {{100001}, {}},
      {{4, 6, 5}, {4, 1, 5}},
      {{3, 4, 5, 6}, {4, 1, 6}},
      {{3, 4, 5, 6}, {1, 5, 1}},
      {{2, 3}, {2, 3}},
      {{1, 2, 3}, {2, 3}},
      {{0, 4}, {4}},
      {{4, 0}, {4, 1}},
      {{64, 40, 130}, {64, 1, 130}},
      {{3, 1, 4}, {1, 4}},
      {{}, {}},
  };
  for (const auto& [from, to] : cases)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      SCOPED_TRACE(to_text(Spec{from, dtype}) + " to " + to_text(to));
      const Tensor x = random(from, dtype), y = Tensor::full(to, 99, dtype);
      kernels::sum_to_shape(x, y);
      const std::vector<double> expected = expected_sum(x, to), actual = y.to_vector();
      const double count = to.numel() == 0 ? 0.0 : static_cast<double>(from.numel()) / static_cast<double>(to.numel());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double rounding = dtype == DType::bf16 ? std::abs(expected[i]) * 0.004 : 0;
        ASSERT_NEAR(actual[i], expected[i], rounding + (dtype == DType::f64 ? 1e-10 : 4e-7 * (1 + std::sqrt(count)))) << "element " << i;
      }
    }
}

TEST(SumToShape, DoesNotDependOnTheThreadCount) {
  for (const auto& [from, to] :
       std::vector<std::pair<Shape, Shape>>{{{25600, 50}, {50}}, {{3000, 768}, {768}}, {{300000}, {}}, {{40, 9000}, {40, 1}}}) {
    const Tensor x = random(from, DType::f32), one(to), many(to);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    kernels::sum_to_shape(x, one);
    omp_set_num_threads(3);
    kernels::sum_to_shape(x, many);
    omp_set_num_threads(threads);
    EXPECT_EQ(one.to_vector(), many.to_vector());
  }
}

TEST(SumToShape, LongSumsOfOnesAreExact) {
  const Tensor rows = Tensor::full(Shape{1 << 18, 3}, 1.0), sums(Shape{3});
  kernels::sum_to_shape(rows, sums);
  EXPECT_EQ(sums.to_vector(), (std::vector<double>{262144, 262144, 262144}));
  const Tensor narrow = Tensor::full(Shape{5000, 64}, 1.0, DType::bf16), bf16_sums(Shape{64}, DType::bf16);
  kernels::sum_to_shape(narrow, bf16_sums);
  EXPECT_EQ(bf16_sums.to_vector().front(), 4992.0);  // 5000 rounded to bfloat16; a bfloat16 sum would stop at 256
}

TEST(SumToShape, ReadsStridedTensors) {
  const Tensor x = random(Shape{6, 4, 5}, DType::f32), y(Shape{6});
  const Tensor turned = x.view(x.layout().transpose(0, 2));  // [5, 4, 6]
  kernels::sum_to_shape(turned, y);
  const std::vector<double> expected = expected_sum(turned.contiguous(), Shape{6}), actual = y.to_vector();
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-5);
}

TEST(Copy, TakesAnyStridesOnBothSides) {
  const Tensor x = random(Shape{70, 3, 150}, DType::f32);
  const std::array<int, 3> orders[] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}, {0, 2, 1}, {1, 0, 2}};
  for (const auto& order : orders) {
    const Tensor view = x.view(x.layout().permute(order)), dense(view.shape());
    kernels::copy(view, dense);
    EXPECT_EQ(dense.to_vector(), view.clone().to_vector());
    const Tensor wide = Tensor::full(view.shape().with(2, 2 * view.size(2)), -7.0);
    const Tensor every_second = wide.view(wide.layout().slice(2, 1, view.size(2), 2));
    kernels::copy(view, every_second);
    EXPECT_EQ(every_second.to_vector(), dense.to_vector());
    EXPECT_EQ(wide.to_vector().front(), -7.0);
  }
  const Tensor row = random(Shape{1, 5}, DType::bf16), grid(Shape{4, 5}, DType::bf16);
  kernels::copy(row.view(row.layout().expand(Shape{4, 5})), grid);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(grid.to_vector()[static_cast<std::size_t>(i)], row.to_vector()[static_cast<std::size_t>(i % 5)]);
}

TEST(AddInto, AddsStridedTensors) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor a = random(Shape{300, 501}, dtype), b = random(Shape{501, 300}, dtype, 2);
    const Tensor turned = b.view(b.layout().transpose(0, 1));
    const std::vector<double> x = a.to_vector(), y = turned.to_vector();
    kernels::add_into(turned, a);
    const std::vector<double> actual = a.to_vector();
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(actual[i], x[i] + y[i], dtype == DType::f32 ? 2e-7 : dtype == DType::f64 ? 0.0 : 0.01);
  }
}

}  // namespace
}  // namespace capstan
