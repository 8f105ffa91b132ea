#include "autograd/ops/operators.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"

namespace capstan {
namespace {

using Values = std::vector<double>;

/// f of leaves a and b, and the gradients of both where the cotangent is 1.
std::vector<Values> value_and_gradients(const std::function<Tensor(const Tensor&, const Tensor&)>& f) {
  const Tensor a = make_leaf(Tensor::from({2.0, -8.0}, {2})), b = make_leaf(Tensor::from({4.0, 2.0}, {2}));
  Tape tape;
  const Tensor y = f(a, b), dy = Tensor::full({2}, 1, DType::f64);
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
  const auto values = [&](const Tensor& leaf) { return g.of(leaf).defined() ? g.of(leaf).dense().to_vector() : Values{}; };
  return {y.to_vector(), values(a), values(b)};
}
using Expected = std::vector<Values>;

TEST(Operators, OnTwoTensors) {
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor& b) { return a + b; }), (Expected{{6, -6}, {1, 1}, {1, 1}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor& b) { return a - b; }), (Expected{{-2, -10}, {1, 1}, {-1, -1}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor& b) { return a * b; }), (Expected{{8, -16}, {4, 2}, {2, -8}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor& b) { return a / b; }), (Expected{{.5, -4}, {.25, .5}, {-.125, 2}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return -a; }), (Expected{{-2, 8}, {-1, -1}, {}}));
}

TEST(Operators, OnATensorAndANumber) {
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return a + 3; }), (Expected{{5, -5}, {1, 1}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return 3 + a; }), (Expected{{5, -5}, {1, 1}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return a - 3; }), (Expected{{-1, -11}, {1, 1}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return 3 - a; }), (Expected{{1, 11}, {-1, -1}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return a * 3; }), (Expected{{6, -24}, {3, 3}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return 3 * a; }), (Expected{{6, -24}, {3, 3}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor& a, const Tensor&) { return a / 4; }), (Expected{{.5, -2}, {.25, .25}, {}}));
  EXPECT_EQ(value_and_gradients([](const Tensor&, const Tensor& b) { return 8 / b; }), (Expected{{2, 4}, {}, {-.5, -2}}));
}

TEST(Operators, ANumberTakesTheTypeOfTheTensor) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const Tensor x = Tensor::full({2}, 2, dtype);
    for (const Tensor& y : {x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x}) EXPECT_EQ(y.dtype(), dtype);
  }
  EXPECT_THROW(Tensor::zeros({2}) + Tensor::zeros({2}, DType::f64), DTypeError);
}

}  // namespace
}  // namespace capstan
