// Convolution, pooling and image normalisation beyond the op table: numbers computed by hand, hard cases, and sizes at which the library
// chooses blocked layouts.
#include "autograd/ops/conv.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/image_normalization.h"
#include "autograd/ops/pool.h"
#include "tests/close.h"

namespace capstan {
namespace {

Tensor random(const Shape& shape, DType dtype, std::uint64_t seed) {
  Rng rng(random_key(seed, "conv_test"));
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<double>(bfloat16(static_cast<float>(rng.uniform(-1, 1)))));
  return cast(Tensor::from(values, shape), dtype);
}

void expect_near(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = actual.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], tolerance) << "element " << i;
}

TEST(Conv2d, CrossCorrelates) {
  const Tensor x = Tensor::from({1., 2., 3., 4., 5., 6., 7., 8., 9.}, {1, 1, 3, 3}), weight = Tensor::from({1., 2., 3., 4.}, {1, 1, 2, 2}),
               bias = Tensor::from({.5}, {1});
  expect_near(conv2d(x, weight, bias), {37.5, 47.5, 67.5, 77.5}, 0);
  expect_near(conv2d(x, weight, {}, {.window = square_window(2, 1)}), {4, 18, 36, 77}, 0);
  expect_near(conv2d(x, weight, {}, {.window = square_window(1, 0, 2)}), {1 + 2 * 3 + 3 * 7 + 4 * 9}, 0);
}

TEST(Conv2d, SamePaddingPutsTheOddPositionAfter) {
  const Window root = same_window(224, 224, {7, 7}, 2), pool = same_window(112, 112, {3, 3}, 2), odd = same_window(5, 4, {3, 3}, 2);
  EXPECT_EQ(root.before[0], 2);
  EXPECT_EQ(root.after[0], 3);
  EXPECT_EQ(pool.before[1], 0);
  EXPECT_EQ(pool.after[1], 1);
  EXPECT_EQ(odd.before[0], 1);
  EXPECT_EQ(odd.after[0], 1);
  EXPECT_EQ(odd.before[1], 0);
  EXPECT_EQ(odd.after[1], 1);
  const Tensor x = Tensor::zeros({1, 1, 5, 4}, DType::f64);
  EXPECT_EQ(max_pool2d(x, {.kernel = {3, 3}, .window = odd}).shape(), (Shape{1, 1, 3, 2}));
}

// Output and all gradients of a convolution from fixed cotangents.
std::vector<Tensor> run(DType dtype, const Shape& x_shape, const Shape& weight_shape, const ops::Conv2d::Args& args) {
  const Tensor x = make_leaf(random(x_shape, dtype, 1)), weight = make_leaf(random(weight_shape, dtype, 2)),
               bias = make_leaf(random({weight_shape[0]}, dtype, 3));
  Tape tape;
  const Tensor y = conv2d(x, weight, bias, args), dy = random(y.shape(), dtype, 4);
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
  return {y.detach(), g.of(x).dense(), g.of(weight).dense(), g.of(bias).dense()};
}

TEST(Conv2d, AgreesWithTheReferenceAtRealSizes) {
  struct Case {
    Shape x, weight;
    ops::Conv2d::Args args;
  };
  const Case cases[] = {{{2, 3, 32, 32}, {64, 3, 7, 7}, {.window = same_window(32, 32, {7, 7}, 2)}},
                        {{2, 64, 8, 8}, {32, 64, 3, 3}, {.window = square_window(2, 1)}},
                        {{1, 64, 9, 9}, {128, 64, 1, 1}, {}},
                        {{2, 32, 6, 6}, {64, 8, 3, 3}, {.window = square_window(1, 1), .groups = 4}},
                        {{2, 48, 7, 7}, {48, 1, 3, 3}, {.window = square_window(1, 2, 2), .groups = 48}}};
  for (const Case& c : cases) {
    const std::vector<Tensor> expected = run(DType::f64, c.x, c.weight, c.args);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const std::vector<Tensor> actual = run(dtype, c.x, c.weight, c.args);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        double scale = 0;
        for (const double v : expected[i].to_vector()) scale = std::max(scale, std::abs(v));
        SCOPED_TRACE(join_text("x ", c.x, ", weight ", c.weight, ", ", dtype, ", result ", i));
        expect_near(actual[i], expected[i].to_vector(), scale * (dtype == DType::f32 ? 2e-6 : 8e-3));
      }
    }
  }
}

TEST(Conv2d, GivesTheSameBitsAgain) {
  const auto once = [] { return run(DType::f32, {4, 16, 14, 14}, {32, 16, 3, 3}, {.window = square_window(1, 1)}); };
  const std::vector<Tensor> first = once(), second = once();
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].to_vector(), second[i].to_vector()) << i;
}

TEST(MaxPool2d, TakesTheFirstOfEqualOnesAndKeepsNan) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = make_leaf(cast(Tensor::from({1., 1., 1., 1., 0., 2., 2., 0.}, {1, 2, 2, 2}), dtype));
    Tape tape;
    const Tensor y = max_pool2d(x, {}), dy = Tensor::full({1, 2, 1, 1}, 3, dtype);
    EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 2}));
    EXPECT_EQ(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(x).dense().to_vector(), (std::vector<double>{3, 0, 0, 0, 0, 3, 0, 0}));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const std::vector<double>& values : {std::vector{nan, 1., 2., 3.}, {1., nan, 2., 3.}, {3., 2., 1., nan}})
      EXPECT_TRUE(std::isnan(max_pool2d(cast(Tensor::from(values, {1, 1, 2, 2}), dtype), {}).item()));
  }
}

// The order in memory has loops of its own, a few channels at a time: full ones, the rest, ties and NaN among them.
TEST(MaxPool2d, TakesTheSameOfChannelsThatLieLast) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const std::int64_t channels : {2, 32, 75}) {
      SCOPED_TRACE(join_text(dtype, ", channels ", channels));
      Rng rng(random_key(5, "max_pool"));
      std::vector<double> values;
      for (std::int64_t i = 0; i < 2 * channels * 13 * 10; ++i)
        values.push_back(rng.uniform() < .02 ? std::numeric_limits<double>::quiet_NaN() : std::floor(rng.uniform(-4, 4)));
      const Tensor x = make_leaf(channels_last(cast(Tensor::from(values, {2, channels, 13, 10}), dtype)));
      const auto pooled = [&] {
        Tape tape;
        const Tensor y = max_pool2d(x, {.kernel = {3, 3}, .window = {.stride = {2, 1}, .before = {1, 1}, .after = {0, 1}}});
        const Tensor dy = random(y.shape(), dtype, 6);
        return std::pair(y.to_vector(), tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(x).dense().to_vector());
      };
      const auto fast = pooled();
      const kernels::ScopedBackend reference(kernels::Backend::reference);
      const auto expected = pooled();
      for (std::size_t i = 0; i < expected.first.size(); ++i)
        ASSERT_TRUE(fast.first[i] == expected.first[i] || (std::isnan(fast.first[i]) && std::isnan(expected.first[i]))) << "element " << i;
      EXPECT_EQ(fast.second, expected.second);
    }
}

TEST(MaxPool2d, PaddingNeverWins) {
  const Tensor x = Tensor::full({1, 1, 2, 2}, -5, DType::f64);
  EXPECT_EQ(max_pool2d(x, {.kernel = {3, 3}, .window = square_window(1, 1)}).to_vector(), (std::vector<double>{-5, -5, -5, -5}));
}

TEST(AvgPool2d, CountsPaddingOrNot) {
  const Tensor x = Tensor::from({1., 2., 3., 6.}, {1, 1, 2, 2});
  EXPECT_EQ(avg_pool2d(x, {.window = square_window(2, 1)}).to_vector(), (std::vector<double>{.25, .5, .75, 1.5}));
  EXPECT_EQ(avg_pool2d(x, {.window = square_window(2, 1), .count_padding = false}).to_vector(), (std::vector<double>{1, 2, 3, 6}));
  EXPECT_EQ(global_avg_pool2d(x).to_vector(), (std::vector<double>{3}));
}

TEST(StandardizeWeight, GivesTheNumbersOfBothForms) {
  const Tensor filter = Tensor::from({1., 2., 3., 6.}, {1, 4});
  expect_near(standardize_weight(filter), {-1.069043, -.534522, 0, 1.603565}, 1e-6);
  expect_near(standardize_weight(filter, 1e-5, DeviationForm::sum), {-1.069039, -.53452, 0, 1.603559}, 1e-6);
}

TEST(StandardizeWeight, OfEqualElementsIsZeroAndPassesAFiniteGradient) {
  const Tensor filter = make_leaf(Tensor::full({2, 3}, .5, DType::f64));
  for (const DeviationForm form : {DeviationForm::root, DeviationForm::sum}) {
    Tape tape;
    const Tensor y = standardize_weight(filter, 1e-5, form), dy = Tensor::from({1., 2., 3., 0., 0., 3.}, {2, 3});
    EXPECT_EQ(y.to_vector(), std::vector<double>(6, 0.0));
    for (const double v : tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(filter).dense().to_vector()) EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(BatchNorm, WithItsOwnStatisticsIsTheSame) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = random({3, 4, 5, 5}, dtype, 1), gamma = random({4}, dtype, 2), beta = random({4}, dtype, 3);
    const BatchNormResult result = batch_norm(x, gamma, beta, {.eps = 1e-3});
    expect_near(batch_norm_with(x, result.mean, result.variance, gamma, beta, 1e-3), result.y.to_vector(), 1e-6);
  }
}

TEST(BatchNorm, ComputesTheVarianceFromDeviations) {
  const Tensor x = Tensor::from({10000.F, 10001.F, 10002.F, 10003.F}, {4, 1});
  const BatchNormResult result = batch_norm(x, {}, {}, {.eps = 0});
  EXPECT_FLOAT_EQ(static_cast<float>(result.mean.item()), 10001.5F);
  EXPECT_FLOAT_EQ(static_cast<float>(result.variance.item()), 1.25F);
  expect_near(result.y, {-1.341641, -.447214, .447214, 1.341641}, 1e-5);
}

TEST(GroupNorm, OfOneGroupAndOfEveryChannel) {
  const Tensor x = Tensor::from({1., 2., 3., 4., 10., 10., 30., 30.}, {2, 2, 2});
  expect_near(group_norm(x, 1, {}, {}, 0), {-1.341641, -.447214, .447214, 1.341641, -1, -1, 1, 1}, 1e-6);
  expect_near(group_norm(x, 2, {}, Tensor::from({0., 5.}, {2}), 1e-30), {-1, 1, 4, 6, 0, 0, 5, 5}, 1e-6);
}

// Whether a tensor [B, C, H, W] has its channels side by side in memory.
bool lies_channels_last(const Tensor& t) { return t.layout().permute(std::array{0, 2, 3, 1}).is_contiguous() && !t.is_contiguous(); }

using Layer = std::function<Tensor(const std::vector<Tensor>& leaves)>;

// A layer's result and gradients in f64 and the usual order, and in another type with images that have their channels last.
void expect_same_with_channels_last(const Layer& layer, const std::vector<Shape>& shapes, DType dtype, double tolerance,
                                    const std::string& what) {
  std::vector<std::vector<double>> expected;
  for (const bool last : {false, true}) {
    Tape tape;
    std::vector<Tensor> leaves, given;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      leaves.push_back(make_leaf(random(shapes[i], last ? dtype : DType::f64, i)));
      given.push_back(last && i == 0 ? channels_last(leaves[i]) : leaves[i]);
    }
    const Tensor y = layer(given), dy = random(y.shape(), y.dtype(), 99);  // of the usual order: it is put into that of y
    EXPECT_EQ(lies_channels_last(y), last) << what;
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
    std::vector<std::vector<double>> values{y.to_vector()};
    for (const Tensor& t : leaves) values.push_back(g.of(t).to_dense().to_vector());
    if (!last) expected = values;
    for (std::size_t i = 0; i < values.size(); ++i)
      expect_close(values[i], expected[i], tolerance, what + ", " + (i == 0 ? "result" : "gradient " + std::to_string(i)));
  }
}

// With AVX-512 the library once wrote beyond its memory here, and the program ended in its allocator.
TEST(ChannelsLast, GradientsOfAFewStridedChannelsStayInTheirMemory) {
  for (const std::int64_t channels : {4, 8, 12})
    for (const std::int64_t size : {56, 64, 112}) {
      Tape tape;
      const Tensor w = make_leaf(Tensor::zeros({8, channels, 1, 1}));
      const Tensor y = conv2d(channels_last(Tensor::full({8, channels, size, size}, 1)), w, {}, {.window = square_window(2)});
      const Gradients g = tape.backward(sum(y));
      EXPECT_EQ(g.of(w).to_dense().to_vector(),
                std::vector<double>(static_cast<std::size_t>(8 * channels), 2.0 * static_cast<double>(size * size)));
    }
}

TEST(ChannelsLast, GivesTheSameInItsOwnOrder) {
  const auto conv = [](const ops::Conv2d::Args& args) -> Layer {
    return [args](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor{}, args); };
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const double tolerance = dtype == DType::f32 ? 1e-5 : 2e-2;
    const auto same = [&](const Layer& layer, const std::vector<Shape>& shapes, const std::string& what) {
      expect_same_with_channels_last(layer, shapes, dtype, tolerance, what + " " + std::string(name_of(dtype)));
    };
    same(conv({}), {{3, 16, 7, 5}, {24, 16, 1, 1}}, "1x1");
    same(conv({}), {{3, 16, 7, 5}, {24, 16, 1, 1}, {24}}, "1x1, bias");
    same(conv({.window = square_window(2)}), {{3, 16, 7, 6}, {9, 16, 1, 1}}, "1x1, stride 2");
    same(conv({.window = square_window(1, 1)}), {{2, 16, 9, 7}, {8, 16, 3, 3}, {8}}, "3x3");
    same(conv({.window = square_window(2, 3)}), {{2, 3, 20, 18}, {16, 3, 7, 7}}, "7x7, stride 2");
    same(conv({.window = square_window(1, 2, 2)}), {{2, 8, 9, 7}, {8, 8, 3, 3}}, "dilation");
    same(conv({.window = square_window(1, 1), .groups = 4}), {{2, 8, 6, 7}, {12, 2, 3, 3}}, "groups");
    same(
        [](const std::vector<Tensor>& in) {
          return max_pool2d(in[0], {.kernel = {3, 3}, .window = square_window(2, 1)});
        },
        {{2, 19, 9, 8}}, "max pooling");
    const auto norm = [](bool relu) -> Layer {
      return [=](const std::vector<Tensor>& in) {
        return batch_norm(in[0], in[1], in[2], {.relu = relu}, in.size() > 3 ? in[3] : Tensor{}).y;
      };
    };
    const Shape images{5, 24, 19, 17}, row{24};
    same(norm(false), {images, row, row}, "batch norm");
    same(norm(false), {images, row, row, images}, "batch norm, residual");
    if (dtype == DType::bf16) continue;  // rounding decides on which side of zero an element is
    same(norm(true), {images, row, row}, "batch norm, relu");
    same(norm(true), {images, row, row, images}, "batch norm, residual, relu");
  }
}

TEST(ChannelsLast, SumsOfGradientsKeepTheOrder) {
  const Tensor x = make_leaf(random({2, 5, 3, 4}, DType::f32, 1));
  Tape tape;
  const Tensor y = channels_last(x), a = batch_norm(y, {}, {}, {.relu = true}, y).y, b = batch_norm(a, {}, {}, {}, a).y;
  const Tensor dy = channels_last(random(b.shape(), DType::f32, 2));
  const Gradients g = tape.backward(std::span(&b, 1), std::span(&dy, 1));
  const Gradient of_x = g.of(x);
  EXPECT_TRUE(lies_channels_last(of_x.dense())) << "it went through views and sums alone";
}

TEST(ChannelsLast, BatchNormComputesTheVarianceFromDeviations) {
  // Blocks of rows of which each has another mean, far from zero.
  const std::int64_t rows = 40'000;
  Tensor x(Shape{1, 200, 200, 2});
  for (std::int64_t r = 0; r < rows; ++r) {
    x.data<float>()[2 * r] = 10000 + static_cast<float>(r % 4);
    x.data<float>()[2 * r + 1] = static_cast<float>(r >= rows / 2 ? 3 : 1);
  }
  const BatchNormResult result = batch_norm(x.view(x.layout().permute(std::array{0, 3, 1, 2})), {}, {});
  expect_near(result.mean, {10001.5, 2}, 2e-3);
  expect_near(result.variance, {1.25, 1}, 1e-4);
}

}  // namespace
}  // namespace capstan
