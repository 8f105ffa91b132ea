#include "autograd/ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"

namespace capstan {
namespace {

Tensor ones(const Shape& shape, DType dtype = DType::f32) { return Tensor::full(shape, 1, dtype); }
Tensor ids(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

double kept_share(const std::vector<double>& y) {
  double kept = 0;
  for (const double v : y) kept += v != 0;
  return kept / static_cast<double>(y.size());
}

TEST(Dropout, KeepsTheAskedShareAndTheMean) {
  constexpr std::int64_t n = 400'000;
  for (const double p : {0.1, 0.2, 0.5, 0.9}) {
    const std::vector<double> y = dropout(ones({n}), p, random_key(1, "dropout")).to_vector();
    const double deviation = std::sqrt(p * (1 - p) / n);
    EXPECT_NEAR(kept_share(y), 1 - p, 5 * deviation + 1e-5) << p;
    double sum = 0;
    for (const double v : y) sum += v;
    EXPECT_NEAR(sum / n, 1, 6 * deviation / (1 - p)) << p;
  }
}

TEST(Dropout, NeighboursGroupsAndKeysAreIndependent) {
  constexpr std::int64_t n = 200'000;
  const std::vector<double> a = dropout(ones({2, n}), 0.5, 11, ids({0, 1})).to_vector(),
                            b = dropout(ones({1, n}), 0.5, 12, ids({0})).to_vector();
  double next = 0, group = 0, key = 0, eighth = 0;  // how often two decisions agree
  for (std::size_t i = 0; i < n - 8; ++i) {
    next += a[i] == a[i + 1];
    eighth += a[i] == a[i + 8];
    group += a[i] == a[i + n];
    key += a[i] == b[i];
  }
  for (const double agree : {next, eighth, group, key}) EXPECT_NEAR(agree / n, 0.5, 5 * 0.5 / std::sqrt(n));
}

TEST(Dropout, DoesNotDependOnHowTheBatchIsSplit) {
  const Tensor whole = dropout(ones({6, 3, 50}), 0.3, 5, ids({10, 11, 12, 13, 14, 15}));
  const Tensor part = dropout(ones({2, 3, 50}), 0.3, 5, ids({13, 11}));
  const auto sample = [](const Tensor& t, std::int64_t i) { return t.view(t.layout().slice(0, i, 1)).to_vector(); };
  EXPECT_EQ(sample(part, 0), sample(whole, 3));
  EXPECT_EQ(sample(part, 1), sample(whole, 1));
  EXPECT_NE(sample(whole, 0), sample(whole, 1));
}

TEST(Dropout, EveryTypeAndBackendDrawsTheSameMask) {
  const std::vector<double> expected = dropout(ones({5, 1000}, DType::f64), 0.5, 3, ids({1, 2, 3, 4, 5})).to_vector();
  for (const DType dtype : {DType::f32, DType::bf16})
    EXPECT_EQ(dropout(ones({5, 1000}, dtype), 0.5, 3, ids({1, 2, 3, 4, 5})).to_vector(), expected);
  const kernels::ScopedBackend reference(kernels::Backend::reference);
  EXPECT_EQ(dropout(ones({5, 1000}), 0.5, 3, ids({1, 2, 3, 4, 5})).to_vector(), expected);
}

TEST(Dropout, BackwardDrawsTheMaskOfForward) {
  const Tensor x = make_leaf(ones({300, 70}));
  Tape tape;
  const Tensor y = dropout(x, 0.4, 21), dy = ones({300, 70});
  EXPECT_EQ(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(x).dense().to_vector(), y.to_vector());
}

TEST(Dropout, DroppedElementsAreZeroWhateverTheyWere) {
  const Tensor x = Tensor::full({64}, std::numeric_limits<double>::infinity(), DType::f32);
  for (const double v : dropout(x, 0.5, 1).to_vector()) EXPECT_TRUE(v == 0 || std::isinf(v));
}

TEST(Dropout, RateZeroIsTheSameTensor) {
  const Tensor x = ones({3});
  EXPECT_TRUE(dropout(x, 0, 1).storage().same_as(x.storage()));
}

}  // namespace
}  // namespace capstan
