#include "autograd/ops/normalization.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/capstan.h"

namespace capstan {
namespace {

Tensor ones(std::int64_t n) { return Tensor::full({n}, 1); }
Tensor zeros(std::int64_t n) { return Tensor::zeros({n}); }

TEST(LayerNorm, HandCheckedNumbers) {
  struct Case {
    double eps, outer, inner;
  };
  for (const Case& c : {Case{1e-12, 1.341640786, .447213595}, Case{1e-6, 1.34164025, .447213417}, Case{1e-5, 1.34163542, .447211807}}) {
    const std::vector<double> y = layer_norm(Tensor::from<float>({1, 2, 3, 4}, {4}), ones(4), zeros(4), c.eps).to_vector();
    const std::vector<double> exact =
        layer_norm(Tensor::from<double>({1, 2, 3, 4}, {4}), Tensor::full({4}, 1, DType::f64), {}, c.eps).to_vector();
    const double expected[] = {-c.outer, -c.inner, c.inner, c.outer};
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(y[i], expected[i], 2e-7) << c.eps;
      EXPECT_NEAR(exact[i], expected[i], 1e-8) << c.eps;
    }
  }
}

TEST(LayerNorm, LargeMeanDoesNotDrownTheVariance) {
  constexpr std::int64_t n = 768;
  Tensor x({n});
  for (std::int64_t i = 0; i < n; ++i)
    x.data<float>()[i] = 65536.0f + static_cast<float>(i % 2);  // E[x^2] - mean^2 in float gives 0 or rubbish
  const std::vector<double> y = layer_norm(x, ones(n), zeros(n), 0).to_vector();
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], i % 2 == 0 ? -1 : 1, 1e-5);
}

TEST(LayerNorm, ConstantRowIsBeta) {
  EXPECT_EQ(layer_norm(Tensor::full({2, 3}, 1e4), ones(3), Tensor::full({3}, 7), 1e-12).to_vector(), std::vector<double>(6, 7.0));
}

TEST(DropoutResidualLayerNorm, IsTheSeparateOperations) {
  const auto wave = [](const Shape& shape, double phase) {
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(std::cos(.5 * static_cast<double>(i) + phase));
    return t;
  };
  const Tensor x = wave({40, 70}, 0), bias = wave({70}, 1), residual = wave({40, 70}, 2), gamma = wave({70}, 3), beta = wave({70}, 4);
  Tensor biased({40, 70}), sum({40, 70});
  for (std::int64_t i = 0; i < 2800; ++i) biased.data<float>()[i] = x.data<float>()[i] + bias.data<float>()[i % 70];
  const Tensor dropped = dropout(biased, .25, 9);
  for (std::int64_t i = 0; i < 2800; ++i) sum.data<float>()[i] = residual.data<float>()[i] + dropped.data<float>()[i];
  const NormalizedSum fused = dropout_residual_layer_norm_with_sum(x, bias, residual, gamma, beta, {.p = .25, .key = 9, .eps = 1e-6});
  const std::vector<double> expected_sum = sum.to_vector(), actual_sum = fused.sum.to_vector();
  for (std::size_t i = 0; i < 2800; ++i) ASSERT_NEAR(actual_sum[i], expected_sum[i], 1e-6);
  EXPECT_EQ(fused.y.to_vector(), layer_norm(fused.sum, gamma, beta, 1e-6).to_vector());
  EXPECT_EQ(dropout_residual_layer_norm(x, bias, residual, gamma, beta, {.p = .25, .key = 9, .eps = 1e-6}).to_vector(),
            fused.y.to_vector());
}

// y, dx and dweight of f at f64 inputs that do not come near zero rows.
template <class F>
std::vector<Tensor> value_and_gradients(const F& f) {
  const auto wave = [](const Shape& shape, double phase) {
    Tensor t(shape, DType::f64);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = std::cos(.5 * static_cast<double>(i) + phase);
    return t;
  };
  const Tensor x = make_leaf(wave({4, 3, 7}, 0)), w = make_leaf(wave({7}, 1)), dy = wave({4, 3, 7}, 2);
  Tape tape;
  const Tensor y = f(x, w);
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
  return {y, g.of(x).dense(), g.of(w).dense()};
}

TEST(RmsNorm, IsTheComposition) {
  for (const double eps : {0.0, 1e-6, .3}) {
    const std::vector<Tensor> fused = value_and_gradients([=](const Tensor& x, const Tensor& w) { return rms_norm(x, w, {}, eps); });
    const std::vector<Tensor> composed =
        value_and_gradients([=](const Tensor& x, const Tensor& w) { return x * rsqrt(mean(x * x, {-1}, true) + eps) * w; });
    for (std::size_t t = 0; t < fused.size(); ++t) {
      const std::vector<double> actual = fused[t].to_vector(), expected = composed[t].to_vector();
      for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-13) << "eps " << eps << ", tensor " << t;
    }
  }
}

TEST(DropoutResidualLayerNorm, GradientOfTheSumAloneArrives) {
  const Tensor x = make_leaf(Tensor::full({2, 3}, 2)), residual = make_leaf(Tensor::full({2, 3}, 1));
  Tape tape;
  const NormalizedSum out = dropout_residual_layer_norm_with_sum(x, {}, residual, ones(3), zeros(3), {});
  const Tensor dsum = Tensor::full({2, 3}, 5);
  const Gradients g = tape.backward(std::span(&out.sum, 1), std::span(&dsum, 1));
  EXPECT_EQ(g.of(x).dense().to_vector(), std::vector<double>(6, 5.0));
  EXPECT_EQ(g.of(residual).dense().to_vector(), std::vector<double>(6, 5.0));
}

}  // namespace
}  // namespace capstan
