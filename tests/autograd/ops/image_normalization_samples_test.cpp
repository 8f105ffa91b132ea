#include "autograd/ops/image_normalization.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

std::vector<Tensor> with_weights(const Tensor& x) { return {x, uniform({x.size(1)}, .5, 1.5, 2), uniform({x.size(1)}, -1, 1, 3)}; }

// For batch norm, which adds a residual.
std::vector<Tensor> with_residual(const Shape& shape, bool residual = true) {
  std::vector<Tensor> inputs = with_weights(uniform(shape));
  inputs.push_back(residual ? uniform(shape, -1, 1, 4) : Tensor{});
  return inputs;
}

template <class O>
std::vector<BadSample<O>> bad_norm_samples() {
  const Tensor x = uniform({2, 4, 3, 3}), row = uniform({4});
  return {{.name = "rank", .args = {}, .inputs = {row, row, row}, .message = "x must be [B, C, ...]"},
          {.name = "gamma", .args = {}, .inputs = {x, uniform({3}), row}, .message = "x f64[2, 4, 3, 3], gamma f64[3]"},
          {.name = "type", .args = {}, .inputs = {x, row, Tensor::zeros({4})}, .message = "beta f32[4]"},
          {.name = "eps", .args = {.eps = -1}, .inputs = {x, row, row}, .message = "eps -1"}};
}

}  // namespace

template <>
struct Samples<ops::BatchNorm> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static std::vector<Sample<ops::BatchNorm>> good() {
    return {
        {.name = "images", .args = {}, .inputs = with_residual({3, 4, 2, 5}, false), .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2},
        {.name = "rows", .args = {.eps = 1e-3}, .inputs = with_residual({6, 3}, false), .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2},
        {.name = "no weights", .args = {}, .inputs = {uniform({2, 2, 17}), {}, {}, {}}, .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2},
        {.name = "large eps", .args = {.eps = 1}, .inputs = with_residual({2, 3, 3}, false), .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2},
        {.name = "residual", .args = {}, .inputs = with_residual({3, 4, 2, 3}), .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2},
        {.name = "relu", .args = {.relu = true}, .inputs = with_residual({2, 3, 2, 3}, false), .f32_tolerance = 1e-4, .bf16 = false},
        {.name = "residual, relu", .args = {.relu = true}, .inputs = with_residual({2, 3, 3, 2}), .f32_tolerance = 1e-4, .bf16 = false}};
  }
  static Sample<ops::BatchNorm> large() {
    return {.name = "large", .args = {}, .inputs = with_residual({32, 17, 14, 15}), .f32_tolerance = 1e-4, .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::BatchNorm>> bad() {
    std::vector<BadSample<ops::BatchNorm>> list = bad_norm_samples<ops::BatchNorm>();
    for (BadSample<ops::BatchNorm>& sample : list) sample.inputs.push_back({});
    list.push_back({.name = "residual",
                    .args = {},
                    .inputs = {uniform({2, 4, 3}), {}, {}, uniform({2, 4, 1})},
                    .message = "must be like x: x f64[2, 4, 3], residual f64[2, 4, 1]"});
    return list;
  }
};

template <>
struct Samples<ops::GroupNorm> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static std::vector<Sample<ops::GroupNorm>> good() {
    return {{.name = "two groups", .args = {.groups = 2}, .inputs = with_weights(uniform({3, 4, 2, 5})), .bf16_tolerance = 6e-2},
            {.name = "by channel", .args = {.groups = 3, .eps = 1e-6}, .inputs = with_weights(uniform({2, 3, 19})), .bf16_tolerance = 6e-2},
            {.name = "one group", .args = {}, .inputs = with_weights(uniform({2, 6})), .bf16_tolerance = 6e-2},
            {.name = "no weights", .args = {.groups = 2}, .inputs = {uniform({1, 4, 3, 3}), {}, {}}, .bf16_tolerance = 6e-2},
            {.name = "no images", .args = {}, .inputs = with_weights(uniform({0, 2, 3, 3}))}};
  }
  static Sample<ops::GroupNorm> large() {
    return {.name = "large", .args = {.groups = 4}, .inputs = with_weights(uniform({17, 16, 20, 21})), .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::GroupNorm>> bad() {
    std::vector<BadSample<ops::GroupNorm>> list = bad_norm_samples<ops::GroupNorm>();
    list.push_back({.name = "groups",
                    .args = {.groups = 3},
                    .inputs = {uniform({2, 4, 3, 3}), {}, {}},
                    .message = "groups must divide the channels, axis 1 of x: x f64[2, 4, 3, 3], groups 3"});
    return list;
  }
};

template <>
struct Samples<ops::StandardizeWeight> {
  static std::vector<Sample<ops::StandardizeWeight>> good() {
    return {{.name = "root", .args = {}, .inputs = {uniform({3, 2, 3, 3})}, .bf16_tolerance = 6e-2},
            {.name = "sum", .args = {.form = DeviationForm::sum}, .inputs = {uniform({3, 2, 3, 3})}, .bf16_tolerance = 6e-2},
            {.name = "large eps", .args = {.eps = .5, .form = DeviationForm::sum}, .inputs = {uniform({2, 5})}, .bf16_tolerance = 6e-2}};
  }
  static Sample<ops::StandardizeWeight> large() {
    return {.name = "large", .args = {}, .inputs = {uniform(kLarge)}, .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::StandardizeWeight>> bad() {
    return {{.name = "vector", .args = {}, .inputs = {uniform({3})}, .message = "weight f64[3]"},
            {.name = "integers", .args = {}, .inputs = {Tensor::zeros({3, 2}, DType::i64)}, .message = "must be of a floating type"},
            {.name = "eps", .args = {.eps = -1}, .inputs = {uniform({3, 2})}, .message = "eps -1"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::ImageNormalizationOps>();
}  // namespace

}  // namespace capstan::testing
