// The fast forms of functions in floats against the formulas in doubles, over the range in which they differ from 0 and from the identity.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <variant>
#include <vector>

#include "autograd/kernels/elementwise.h"

namespace capstan::kernels {
namespace {

std::vector<float> grid() {
  std::vector<float> x;
  for (int i = -5200; i <= 5200; ++i) x.push_back(static_cast<float>(i) / 400.0f);  // -13 ... 13
  for (const float tiny : {1e-3f, 1e-6f, 1e-20f, 1e-38f}) x.insert(x.end(), {tiny, -tiny});
  return x;
}

std::vector<float> fast(const UnaryFunction& f, const std::vector<float>& x, bool slope) {
  const Layout layout(Shape{static_cast<std::int64_t>(x.size())});
  std::vector<float> y(x.size());
  const std::vector<float> ones(x.size(), 1.0f);
  if (slope) {
    UnaryGradient<float>::fast(f, {ones.data(), layout}, {x.data(), layout}, y.data());
  } else {
    Unary<float>::fast(f, {x.data(), layout}, y.data());
  }
  return y;
}

// Relative to the value where it is small, in tails, too; near a zero of a slope to 1.
template <class F>
void expect_near_double(const F& f, bool slope, double relative, double absolute) {
  const std::vector<float> x = grid(), y = fast(f, x, slope);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<double>(x[i]), wanted = slope ? f.slope(at) : f.value(at);
    EXPECT_NEAR(static_cast<double>(y[i]), wanted, relative * std::abs(wanted) + absolute)
        << F::name << (slope ? " slope" : "") << " at " << at;
  }
}

TEST(FastFunctions, AreNearTheFormulasInDoubles) {
  // exp(v) costs 1e-7 |v|, which is 85 at 13; below 1e-35 floats end.
  expect_near_double(functions::Gelu{}, false, 1e-5, 1e-35);
  expect_near_double(functions::Gelu{}, true, 4e-7, 4e-7);
  expect_near_double(functions::GeluTanh{}, false, 2e-5, 1e-33);
  expect_near_double(functions::GeluTanh{}, true, 4e-7, 1e-6);
  expect_near_double(functions::Sigmoid{}, false, 2e-6, 0);
  expect_near_double(functions::Silu{}, false, 2e-6, 1e-38);
  expect_near_double(functions::Silu{}, true, 4e-7, 4e-7);
}

TEST(FastFunctions, AreAccurateNearZero) {
  for (const float v : {0.5f, 0.25f, 1e-3f, -1e-3f, -0.25f, -0.5f, -1.0f, -2.0f, -3.0f}) {
    const double wanted = functions::Gelu{}.value(static_cast<double>(v));
    EXPECT_NEAR(static_cast<double>(fast(functions::Gelu{}, {v}, false)[0]), wanted, 6e-7 * std::abs(wanted)) << v;
  }
}

TEST(FastFunctions, KeepNaNAndTheEnds) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const UnaryFunction f : {UnaryFunction(functions::Gelu{}), UnaryFunction(functions::GeluTanh{}), UnaryFunction(functions::Silu{})}) {
    EXPECT_TRUE(std::isnan(fast(f, {nan}, false)[0]));
    EXPECT_TRUE(std::isnan(fast(f, {nan}, true)[0]));
    EXPECT_EQ(fast(f, {inf}, false)[0], inf);
    EXPECT_EQ(fast(f, {0.0f}, false)[0], 0);
    EXPECT_EQ(fast(f, {-1e4f}, false)[0], 0);
    EXPECT_EQ(fast(f, {1e4f}, false)[0], 1e4f);
    EXPECT_EQ(fast(f, {-1e4f}, true)[0], 0);
    EXPECT_EQ(fast(f, {1e4f}, true)[0], 1);
  }
  EXPECT_EQ(fast(functions::Sigmoid{}, {inf}, false)[0], 1);
  EXPECT_EQ(fast(functions::Sigmoid{}, {-inf}, false)[0], 0);
  EXPECT_TRUE(std::isnan(fast(functions::Sigmoid{}, {nan}, false)[0]));
}

}  // namespace
}  // namespace capstan::kernels
