#include "autograd/ops/linear_cross_entropy.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::LinearCrossEntropy> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static Tensor classes(const std::vector<std::int64_t>& values) {
    return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
  }
  static std::vector<Sample<ops::LinearCrossEntropy>> good() {
    const Tensor x = uniform({4, 3}), w = uniform({7, 3}, -1, 1, 2), b = uniform({7}, -1, 1, 3);
    return {
        {.name = "mean", .args = {}, .inputs = {x, w, b, classes({0, 6, 2, 2})}, .bf16_tolerance = 6e-2},
        {.name = "no bias", .args = {.reduction = Reduction::sum()}, .inputs = {x, w, {}, classes({0, 6, 2, 2})}, .bf16_tolerance = 6e-2},
        {.name = "ignored", .args = {.ignore_index = 0}, .inputs = {x, w, b, classes({0, 6, 0, 2})}, .bf16_tolerance = 6e-2},
        {.name = "first class",
         .args = {.ignore_index = 0, .first_class = 1},
         .inputs = {x, w, b, classes({0, 6, 1, 2})},
         .bf16_tolerance = 6e-2},
        {.name = "smoothed",
         .args = {.ignore_index = 0, .first_class = 1, .label_smoothing = 0.1},
         .inputs = {x, w, b, classes({0, 6, 1, 2})},
         .bf16_tolerance = 6e-2},
        {.name = "odd sizes",
         .args = {},
         .inputs = {uniform({5, 19}), uniform({37, 19}, -1, 1, 2), {}, classes({36, 1, 2, 3, 4})},
         .bf16_tolerance = 6e-2},
        {.name = "all ignored", .args = {}, .inputs = {x, w, b, classes({-100, -100, -100, -100})}},
        {.name = "no rows", .args = {}, .inputs = {uniform({0, 3}), w, b, classes({})}}};
  }
  static Sample<ops::LinearCrossEntropy> large() {
    return {.name = "large",
            .args = {.ignore_index = 4},
            .inputs = {uniform({331, 32}), uniform({307, 32}, -1, 1, 2), uniform({307}, -1, 1, 3), some_indices({331}, 307)},
            .bf16_tolerance = 6e-2,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::LinearCrossEntropy>> bad() {
    const Tensor x = uniform({2, 3}), w = uniform({5, 3});
    return {
        {.name = "width", .args = {}, .inputs = {x, uniform({5, 4}), {}, classes({0, 0})}, .message = "x f64[2, 3], weight f64[5, 4]"},
        {.name = "bias", .args = {}, .inputs = {x, w, uniform({3}), classes({0, 0})}, .message = "bias f64[3]"},
        {.name = "count", .args = {}, .inputs = {x, w, {}, classes({0})}, .message = "targets i64[1]"},
        {.name = "target", .args = {}, .inputs = {x, w, {}, classes({0, 5})}, .message = "position 1 holds 5, first_class is 0, V is 5"},
        {.name = "padding as target",
         .args = {.first_class = 1},
         .inputs = {x, w, {}, classes({0, 1})},
         .message = "position 0 holds 0, first_class is 1"},
        {.name = "smoothing", .args = {.label_smoothing = 2}, .inputs = {x, w, {}, classes({0, 0})}, .message = "must lie in [0, 1]: 2"},
        {.name = "first class", .args = {.first_class = 5}, .inputs = {x, w, {}, classes({0, 0})}, .message = "first_class 5"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::LinearCrossEntropyOps>();
}  // namespace

}  // namespace capstan::testing
