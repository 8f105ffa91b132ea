// Samples of the activations; see op_table.h.

#include "autograd/ops/elementwise_op.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

// Magnitudes in [0.1, 3] of either sign: away from kinks at 0.
Tensor spread(const Shape& shape, std::uint64_t seed = 1) {
  Tensor t = uniform(shape, -2.9, 2.9, seed);
  for (double& v : t.span<double>()) v += v < 0 ? -0.1 : 0.1;
  return t;
}

template <class F>
F constants() {
  if constexpr (std::is_same_v<F, kernels::functions::LeakyRelu>)
    return {.negative_slope = 0.2};
  else if constexpr (std::is_same_v<F, kernels::functions::Elu>)
    return {.alpha = 1.3};
  else
    return {};
}

}  // namespace

template <class F>
struct Samples<ops::UnaryOp<F>> {
  static std::vector<Sample<ops::UnaryOp<F>>> good() {
    const F f = constants<F>();
    const auto x = [](const Shape& shape) { return std::is_same_v<F, kernels::functions::Log> ? uniform(shape, 0.2, 4.0) : spread(shape); };
    // 1 - y^2 from a y near 1 that was rounded to bf16 has few digits left.
    const double bf16 = std::is_same_v<F, kernels::functions::Tanh> ? 0.1 : 0.03;
    return {{.name = "scalar", .args = f, .inputs = {x({})}, .bf16_tolerance = bf16},
            {.name = "row", .args = f, .inputs = {x({67})}, .bf16_tolerance = bf16},
            {.name = "one", .args = f, .inputs = {x({1, 1})}, .bf16_tolerance = bf16},
            {.name = "empty", .args = f, .inputs = {x({0, 4})}},
            {.name = "rank 4", .args = f, .inputs = {x({2, 3, 1, 7})}, .bf16_tolerance = bf16}};
  }
  static Sample<ops::UnaryOp<F>> large() {
    const Tensor x = std::is_same_v<F, kernels::functions::Log> ? uniform(kLarge, 0.2, 4.0) : spread(kLarge);
    return {
        .name = "large", .args = constants<F>(), .inputs = {x}, .bf16_tolerance = std::is_same_v<F, kernels::functions::Tanh> ? 0.1 : 0.03};
  }
  static std::vector<BadSample<ops::UnaryOp<F>>> bad() {
    return {
        {.name = "integers", .args = {}, .inputs = {Tensor::zeros({2}, DType::i64)}, .message = "x must be of a floating type: x i64[2]"}};
  }
};

template <>
struct Samples<ops::BiasActivation> {
  static constexpr std::array<std::size_t, 1> parameters{1};
  static std::vector<Sample<ops::BiasActivation>> good() {
    std::vector<Sample<ops::BiasActivation>> samples;
    for (const Activation a : {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::tanh}) {
      const auto add = [&](const std::string& name, const Shape& shape) {
        // x and bias are multiples of 1/4 and 1/8 plus 1/16: sums never come near the kink of relu, also after rounding to bf16.
        Tensor x = uniform(shape, -2.5, 2.5), bias = uniform(Shape{shape[-1]}, -1, 1, 2);
        for (double& v : x.span<double>()) v = std::round(v * 4) / 4;
        for (double& v : bias.span<double>()) v = std::round(v * 4) / 4 + 0.125;
        samples.push_back({.name = to_text(a) + " " + name, .args = {.activation = a}, .inputs = {x, bias}});
      };
      add("row", {5});
      add("matrix", {6, 19});
      add("rank 3", {2, 3, 5});
      add("no rows", {0, 5});
      add("no columns", {3, 0});
      add("one column", {7, 1});
    }
    return samples;
  }
  static Sample<ops::BiasActivation> large() {
    return {.name = "large", .args = {.activation = Activation::gelu}, .inputs = {uniform(kLarge), uniform({kLarge[-1]}, -1, 1, 2)}};
  }
  static std::vector<BadSample<ops::BiasActivation>> bad() {
    return {{.name = "width", .args = {}, .inputs = {uniform({4, 3}), uniform({4})}, .message = "x f64[4, 3], bias f64[4]"},
            {.name = "rank", .args = {}, .inputs = {uniform({4, 3}), uniform({1, 3})}, .message = "bias f64[1, 3]"},
            {.name = "type", .args = {}, .inputs = {uniform({4, 3}), Tensor::zeros({3})}, .message = "bias f32[3]"},
            {.name = "integers",
             .args = {},
             .inputs = {Tensor::zeros({4, 3}, DType::i32), Tensor::zeros({3}, DType::i32)},
             .message = "floating"}};
  }
};

namespace {
const bool registered = register_family<ops::ActivationOps>();
}

}  // namespace capstan::testing
