// Elementwise ops: values at the edges, large broadcasts on the fast paths, rounding of casts.

#include "autograd/ops/elementwise.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "autograd/core/rng.h"

namespace capstan {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

Tensor random(const Shape& shape, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "elementwise"));
  Tensor t(shape);
  for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(0.5, 2.0));
  return t;
}

std::vector<double> gradient(const Tensor& leaf, const Tensor& y, Tape& tape) {
  const Tensor ones = Tensor::full(y.shape(), 1.0, y.dtype());
  return tape.backward(std::span(&y, 1), std::span(&ones, 1)).of(leaf).dense().to_vector();
}

TEST(Elementwise, LargeBroadcastsMatchPlainLoops) {
  const std::int64_t n = 700, c = 301;  // above the threshold of one thread, and no multiple of a vector
  const Tensor x = random({n, c}), row = random({c}, 2), column = random({n, 1}, 3), scalar = random({}, 4);
  const auto at = [](const Tensor& t, std::int64_t i) { return t.data<const float>()[i]; };
  for (const Tensor& b : {row, column, scalar, x}) {
    const Tensor product = mul(x, b), quotient = div(b, x);
    ASSERT_EQ(product.shape(), x.shape());
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < c; ++j) {
        const float other = at(b, b.numel() == c ? j : b.numel() == n ? i : b.numel() == 1 ? 0 : i * c + j);
        ASSERT_FLOAT_EQ(at(product, i * c + j), at(x, i * c + j) * other);
        ASSERT_FLOAT_EQ(at(quotient, i * c + j), other / at(x, i * c + j));
      }
  }
  const Tensor turned = x.view(x.layout().transpose(0, 1)), sum = add(turned, turned);
  EXPECT_EQ(at(sum, 1), 2 * at(x, c));
}

TEST(Elementwise, ResultsDoNotDependOnTheThreadCount) {
  const Tensor x = random({1001, 77}), b = random({77}, 2);
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    std::vector<double> all = pow(x, 1.7).to_vector();
    for (const double v : div(x, b).to_vector()) all.push_back(v);
    omp_set_num_threads(before);
    return all;
  };
  EXPECT_EQ(run(1), run(3));
}

TEST(Elementwise, NaNPassesThrough) {
  const Tensor a = Tensor::from<float>({kNaN, 1, kNaN, -kInfinity}, {4}), b = Tensor::from<float>({1, kNaN, kNaN, 2}, {4});
  for (const Tensor& y : {maximum(a, b), minimum(a, b), add(a, b)}) {
    const std::vector<double> v = y.to_vector();
    EXPECT_TRUE(std::isnan(v[0]) && std::isnan(v[1]) && std::isnan(v[2])) << v[0] << " " << v[1] << " " << v[2];
  }
  EXPECT_EQ(maximum(a, b).to_vector()[3], 2.0);
  EXPECT_EQ(minimum(a, b).to_vector()[3], -kInfinity);
}

TEST(Elementwise, TheGradientOfATieGoesToTheFirst) {
  const Tensor a = make_leaf(Tensor::from<float>({1, 2}, {2})), b = make_leaf(Tensor::from<float>({1, 5}, {2}));
  {
    Tape tape;
    EXPECT_EQ(gradient(a, maximum(a, b), tape), (std::vector<double>{1, 0}));
  }
  Tape tape;
  EXPECT_EQ(gradient(b, minimum(a, b), tape), (std::vector<double>{0, 0}));
}

TEST(Elementwise, ValuesThatWhereDidNotChooseHaveNoGradient) {
  const Tensor x = make_leaf(Tensor::from<float>({kNaN, 2, kInfinity}, {3}));
  Tape tape;
  const Tensor mask = Tensor::from<std::uint8_t>({0, 1, 0}, {3});
  const Tensor y = where(mask, mul(x, Tensor::scalar(3)), Tensor::scalar(7));
  EXPECT_EQ(y.to_vector(), (std::vector<double>{7, 6, 7}));
  const Tensor masked = masked_fill(x, mask, -1);
  EXPECT_EQ(masked.to_vector()[1], -1.0);
  EXPECT_EQ(gradient(x, y, tape)[1], 3.0);
}

TEST(Elementwise, PowersAtZero) {
  const Tensor x = make_leaf(Tensor::from<float>({0, 3}, {2}));
  Tape tape;
  const Tensor y = add(pow(x, 2), pow(x, 0));
  EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 10}));
  EXPECT_EQ(gradient(x, y, tape), (std::vector<double>{0, 6}));
}

TEST(Elementwise, CastRoundsToNearestEvenAndTheGradientKeepsItsType) {
  const Tensor x = Tensor::from<float>({1.0f, 3.14159274f, -0.1f, 1.00390625f, 1.01171875f}, {5});
  const Tensor y = cast(x, DType::bf16);
  std::vector<int> bits;
  for (const bfloat16 v : y.span<bfloat16>()) bits.push_back(v.bits);
  EXPECT_EQ(bits, (std::vector<int>{0x3f80, 0x4049, 0xbdcd, 0x3f80, 0x3f82}));
  const Tensor leaf = make_leaf(x);
  Tape tape;
  const Tensor narrow = cast(leaf, DType::bf16), one = Tensor::full({5}, 1.0, DType::bf16);
  EXPECT_EQ(tape.backward(std::span(&narrow, 1), std::span(&one, 1)).of(leaf).dense().spec(), (Spec{{5}, DType::f32}));
}

TEST(Elementwise, CastToIntegersIsAConstant) {
  const Tensor x = make_leaf(Tensor::from<float>({-1.7f, 2.9f}, {2}));
  const Tape tape;
  const Tensor y = cast(x, DType::i64);
  EXPECT_EQ(y.to_vector(), (std::vector<double>{-1, 2}));
  EXPECT_EQ(y.node().kind, NodeRef::Kind::constant);
  EXPECT_EQ(cast(x, DType::f32).node().owner, x.node().owner);
  EXPECT_EQ(cast(Tensor::from<std::uint8_t>({0, 200}, {2}), DType::f64).to_vector(), (std::vector<double>{0, 200}));
}

TEST(Elementwise, AffineTakesDoubles) {
  const Tensor x = Tensor::from<double>({1, 2}, {2});
  EXPECT_EQ(affine(x, 0.1, 1e-9).to_vector(), (std::vector<double>{0.1 * 1 + 1e-9, 0.1 * 2 + 1e-9}));
}

}  // namespace
}  // namespace capstan
