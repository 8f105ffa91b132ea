#include "autograd/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace capstan {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

TEST(Softmax, HandCheckedNumbers) {
  const std::vector<double> y = softmax(Tensor::from<float>({2, 1, -1}, {3})).to_vector();
  EXPECT_NEAR(y[0], .705385, 1e-6);
  EXPECT_NEAR(y[1], .259496, 1e-6);
  EXPECT_NEAR(y[2], .035119, 1e-6);
  const std::vector<double> log_y = log_softmax(Tensor::from<float>({2, 1, -1}, {3})).to_vector();
  EXPECT_NEAR(log_y[0], std::log(.705385), 2e-6);
  EXPECT_NEAR(log_y[2], std::log(.035119), 2e-5);
}

TEST(Softmax, ScoresOfAnySizeStayFinite) {
  const std::vector<double> y = softmax(Tensor::from<float>({3e38f, -3e38f, 3e38f}, {3})).to_vector();
  EXPECT_EQ(y, (std::vector<double>{.5, 0, .5}));
  EXPECT_EQ(log_softmax(Tensor::from<float>({1000, 0}, {2})).to_vector(), (std::vector<double>{0, -1000}));
}

TEST(Softmax, RemovedElementsAreExactlyZeroAndPassNoGradient) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const Tensor x = make_leaf(Tensor::full({2, 40}, 0.5, dtype));
    Tensor keep = Tensor::full({2, 40}, 1, DType::u8);
    for (std::int64_t j = 0; j < 40; ++j) keep.data<std::uint8_t>()[j] = j == 3 || j == 7;  // the second row keeps all
    Tape tape;
    const Tensor y = softmax(x, -1, keep);
    for (std::int64_t j = 0; j < 40; ++j) EXPECT_EQ(y.to_vector()[static_cast<std::size_t>(j)], j == 3 || j == 7 ? .5 : 0);
    const Tensor dy = Tensor::full({2, 40}, 1, dtype);
    dispatch_floating("test", dtype, [&](auto zero) { dy.data<decltype(zero)>()[3] = decltype(zero)(3); });
    const std::vector<double> dx = tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(x).dense().to_vector();
    EXPECT_EQ(dx[3], .5);
    EXPECT_EQ(dx[7], -.5);
    EXPECT_EQ(dx[0], 0);
  }
}

TEST(Softmax, RowWithNothingKeptIsZeroAndItsLogarithmMinusInfinity) {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4}, {2, 2}), keep = Tensor::from<std::uint8_t>({0, 0, 1, 1}, {2, 2});
  const Tensor add = Tensor::from<float>({kMinusInfinity, kMinusInfinity, 0, 0}, {2, 2});
  for (const Tensor& mask : {keep, add}) {
    const std::vector<double> y = softmax(x, -1, mask).to_vector(), log_y = log_softmax(x, -1, mask).to_vector();
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 0);
    EXPECT_NEAR(y[2], 1 / (1 + std::exp(1)), 1e-6);
    EXPECT_EQ(log_y[0], kMinusInfinity);
    EXPECT_EQ(log_y[1], kMinusInfinity);
    EXPECT_NEAR(log_y[3], -std::log(1 + std::exp(-1)), 1e-6);
  }
}

TEST(LogSoftmax, GradientIgnoresRemovedElements) {
  const Tensor x = make_leaf(Tensor::from<float>({1, 5, 1}, {3})), keep = Tensor::from<std::uint8_t>({1, 0, 1}, {3});
  Tape tape;
  const Tensor y = log_softmax(x, 0, keep), dy = Tensor::from<float>({2, 100, 4}, {3});
  EXPECT_EQ(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(x).dense().to_vector(), (std::vector<double>{-1, 0, 1}));
}

TEST(Softmax, ManyRowsAreTheSameAsOne) {  // the team's partition must not show
  Tensor x({3000, 33});
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = static_cast<float>((i * 37) % 101) / 20;
  const Tensor all = softmax(x);
  for (const std::int64_t r : {0, 1499, 1500, 2999}) {
    const Tensor row = x.view(x.layout().slice(0, r, 1)), expected = all.view(all.layout().slice(0, r, 1));
    EXPECT_EQ(softmax(row).to_vector(), expected.to_vector());
  }
}

}  // namespace
}  // namespace capstan
