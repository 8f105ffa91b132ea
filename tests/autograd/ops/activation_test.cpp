// Activations: hand-checked numbers, far tails, NaN, and the fused bias against its parts.

#include "autograd/ops/activation.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "autograd/core/rng.h"
#include "autograd/kernels/accumulate.h"
#include "autograd/ops/elementwise.h"

namespace capstan {
namespace {

Tensor random(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "activation"));
  Tensor t(shape, DType::f32);
  for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-3, 3));
  return cast(t, dtype);
}

void expect_near(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = actual.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "element " << i;
}

TEST(Activation, GeluHasTheKnownValues) {
  const std::vector<double> at = {-3, -1, -.5, .5, 1, 2, 3};
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = cast(Tensor::from(at, {7}), dtype);
    expect_near(gelu(x), {-.004050, -.158655, -.154269, .345731, .841345, 1.954500, 2.995950}, 1e-6);
    expect_near(gelu_tanh(x), {-.003637, -.158808, -.154286, .345714, .841192, 1.954598, 2.996363}, 1e-6);
    const Tensor zero = Tensor::zeros({7}, dtype);
    expect_near(bias_activation(zero.view(Layout(Shape{1}).expand({2, 7})), x, Activation::gelu).view(Layout(Shape{7})),
                {-.004050, -.158655, -.154269, .345731, .841345, 1.954500, 2.995950}, 1e-6);
  }
}

TEST(Activation, FarTailsStayFinite) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = cast(Tensor::from<float>({-1000, -100, -20, 0, 20, 100, 1000}, {7}), dtype);
    expect_near(softplus(x), {0, 0, std::log1p(std::exp(-20.0)), std::log(2.0), 20 + std::log1p(std::exp(-20.0)), 100, 1000}, 2e-6);
    EXPECT_NEAR(softplus(x).to_vector()[2] / std::exp(-20.0), 1.0, 1e-6);
    expect_near(sigmoid(x), {0, 0, 2.0611536e-9, 0.5, 1, 1, 1}, 1e-7);
    expect_near(tanh(x), {-1, -1, -1, 0, 1, 1, 1}, 1e-7);
    expect_near(silu(x), {0, 0, -4.1223e-8, 0, 20, 100, 1000}, 1e-6);
    expect_near(elu(x, 2.0), {-2, -2, -2, 0, 20, 100, 1000}, 1e-6);
    expect_near(gelu(x), {0, 0, 0, 0, 20, 100, 1000}, 1e-6);
    expect_near(gelu_tanh(x), {0, 0, 0, 0, 20, 100, 1000}, 1e-6);
    const Tensor leaf = make_leaf(x);
    for (const auto f : {softplus, sigmoid, capstan::tanh, silu, gelu, gelu_tanh}) {
      Tape tape;
      const Tensor y = f(leaf), one = Tensor::full({7}, 1.0, dtype);
      for (const double v : tape.backward(std::span(&y, 1), std::span(&one, 1)).of(leaf).dense().to_vector()) EXPECT_TRUE(std::isfinite(v));
    }
  }
}

TEST(Activation, NaNIsNotHidden) {
  const Tensor x = Tensor::full({33}, std::numeric_limits<double>::quiet_NaN());
  const Tensor ys[] = {relu(x),    leaky_relu(x), elu(x), gelu(x), gelu_tanh(x), tanh(x),
                       sigmoid(x), softplus(x),   exp(x), log(x),  silu(x),      bias_activation(x, x, Activation::relu)};
  for (const Tensor& y : ys)
    for (const double v : y.to_vector()) EXPECT_TRUE(std::isnan(v));
}

TEST(Activation, InfinitiesComeOut) {
  const Tensor x = Tensor::from<float>({-std::numeric_limits<float>::infinity(), 0, 1000}, {3});
  EXPECT_EQ(exp(x).to_vector(), (std::vector<double>{0, 1, std::numeric_limits<double>::infinity()}));
  EXPECT_EQ(log(Tensor::from<float>({0, 1}, {2})).to_vector(), (std::vector<double>{-std::numeric_limits<double>::infinity(), 0}));
}

// The fused op on large shapes (several threads, odd widths) against addition and activation one after the other.
TEST(BiasActivation, EqualsItsParts) {
  for (const Shape& shape : {Shape{900, 77}, Shape{40, 3, 1030}, Shape{5000, 8}, Shape{3, 5}})
    for (const Activation a : {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::tanh}) {
      SCOPED_TRACE(to_text(a) + " on " + to_text(shape));
      const Tensor x = make_leaf(random(shape, DType::f64)), bias = make_leaf(random({shape[-1]}, DType::f64, 2));
      const Tensor cotangent = random(shape, DType::f64, 3);
      const auto run = [&](const Tensor& xs, const Tensor& biases, DType dtype, bool fused) {
        Tape tape;
        const Tensor z = fused ? Tensor{} : add(xs, biases);
        const Tensor y = fused                        ? bias_activation(xs, biases, a)
                         : a == Activation::relu      ? relu(z)
                         : a == Activation::gelu      ? gelu(z)
                         : a == Activation::gelu_tanh ? gelu_tanh(z)
                                                      : capstan::tanh(z);
        const Tensor dy = cast(cotangent, dtype);
        const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
        return std::array{y.to_vector(), g.of(xs).dense().to_vector(), g.of(biases).dense().to_vector()};
      };
      const auto expected = run(x, bias, DType::f64, false);
      const auto f64 = run(x, bias, DType::f64, true);
      const auto f32 = run(make_leaf(cast(x.detach(), DType::f32)), make_leaf(cast(bias.detach(), DType::f32)), DType::f32, true);
      const std::int64_t rows = shape.numel() / shape[-1];
      for (std::size_t part = 0; part < 3; ++part) {
        const double scale = part == 2 ? std::sqrt(static_cast<double>(rows)) : 1.0;
        for (std::size_t i = 0; i < expected[part].size(); ++i) {
          ASSERT_NEAR(f64[part][i], expected[part][i], 1e-12 * scale) << "part " << part << ", element " << i;
          // relu at a sum within rounding of 0 may fall on either side
          if (a == Activation::relu && part != 0) continue;
          ASSERT_NEAR(f32[part][i], expected[part][i], 6e-6 * scale) << "part " << part << ", element " << i;
        }
      }
    }
}

TEST(BiasActivation, DoesNotDependOnTheThreadCount) {
  const Tensor x = make_leaf(random({3001, 77}, DType::f32)), bias = make_leaf(random({77}, DType::f32, 2)),
               dy = random({3001, 77}, DType::f32, 3);
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    Tape tape;
    const Tensor y = bias_activation(x, bias, Activation::gelu);
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
    omp_set_num_threads(before);
    return std::array{y.to_vector(), g.of(x).dense().to_vector(), g.of(bias).dense().to_vector()};
  };
  EXPECT_EQ(run(1), run(2));
  EXPECT_EQ(run(1), run(3));
}

}  // namespace
}  // namespace capstan
