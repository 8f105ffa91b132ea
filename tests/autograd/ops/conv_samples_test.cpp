#include "autograd/ops/conv.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::Conv2d> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static std::vector<Sample<ops::Conv2d>> good() {
    const auto inputs = [](const Shape& x, const Shape& weight, bool bias = true) {
      return std::vector<Tensor>{uniform(x), uniform(weight, -1, 1, 2), bias ? uniform({weight[0]}, -1, 1, 3) : Tensor{}};
    };
    const Window uneven{.stride = {2, 1}, .before = {0, 2}, .after = {1, 0}, .dilation = {1, 2}};
    return {
        {.name = "one tap", .args = {}, .inputs = inputs({2, 3, 2, 2}, {4, 3, 1, 1})},
        {.name = "padded", .args = {.window = square_window(1, 1)}, .inputs = inputs({1, 2, 4, 5}, {3, 2, 3, 3})},
        {.name = "strided", .args = {.window = square_window(2, 1)}, .inputs = inputs({2, 2, 5, 4}, {2, 2, 3, 2}, false)},
        {.name = "uneven", .args = {.window = uneven}, .inputs = inputs({1, 2, 4, 4}, {2, 2, 2, 3})},
        {.name = "groups", .args = {.window = square_window(1, 1), .groups = 2}, .inputs = inputs({1, 4, 3, 3}, {6, 2, 2, 2})},
        {.name = "depthwise", .args = {.window = square_window(1, 1), .groups = 3}, .inputs = inputs({2, 3, 3, 3}, {3, 1, 3, 3}, false)},
        {.name = "wide", .args = {.window = square_window(1, 1)}, .inputs = inputs({1, 17, 3, 3}, {19, 17, 3, 3}), .f32_tolerance = 4e-5},
        {.name = "patches", .args = {.window = square_window(2)}, .inputs = inputs({2, 1, 4, 6}, {3, 1, 2, 2})},
        {.name = "no images", .args = {}, .inputs = inputs({0, 2, 3, 3}, {2, 2, 2, 2})}};
  }
  static Sample<ops::Conv2d> large() {
    return {.name = "large",
            .args = {.window = square_window(1, 1)},
            .inputs = {uniform({2, 16, 16, 15}), uniform({19, 16, 3, 3}, -1, 1, 2), uniform({19}, -1, 1, 3)},
            .f32_tolerance = 4e-5,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::Conv2d>> bad() {
    const Tensor x = uniform({2, 4, 5, 5}), weight = uniform({6, 2, 3, 3});
    return {
        {.name = "rank", .args = {}, .inputs = {uniform({4, 5, 5}), weight, {}}, .message = "x f64[4, 5, 5]"},
        {.name = "type", .args = {}, .inputs = {x, Tensor::zeros({6, 4, 3, 3}), {}}, .message = "needs operands of one floating type"},
        {.name = "channels", .args = {}, .inputs = {x, weight, {}}, .message = "x f64[2, 4, 5, 5], weight f64[6, 2, 3, 3], groups 1"},
        {.name = "groups", .args = {.groups = 2}, .inputs = {x, uniform({3, 2, 3, 3}), {}}, .message = "groups divide axis 0 of weight"},
        {.name = "bias",
         .args = {.groups = 2},
         .inputs = {x, weight, uniform({4})},
         .message = "bias must be [6]: weight f64[6, 2, 3, 3], bias f64[4]"},
        {.name = "kernel",
         .args = {.groups = 2},
         .inputs = {x, uniform({6, 2, 6, 1}), {}},
         .message = "height 5 with padding 0 and 0, window 6"},
        {.name = "stride", .args = {.window = square_window(0), .groups = 2}, .inputs = {x, weight, {}}, .message = "stride 0"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::ConvOps>();
}  // namespace

}  // namespace capstan::testing
