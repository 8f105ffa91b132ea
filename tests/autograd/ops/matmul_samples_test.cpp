#include "autograd/ops/matmul.h"

#include <array>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::Matmul> {
  static std::vector<Sample<ops::Matmul>> good() {
    const auto permuted = [](const Shape& shape, std::initializer_list<int> order, std::uint64_t seed) {
      const Tensor t = uniform(shape, -1.5, 1.5, seed);
      return t.view(t.layout().permute(std::span(order.begin(), order.size())));
    };
    return {{.name = "one element", .args = {}, .inputs = {uniform({1, 1}), uniform({1, 1}, -1, 1, 2)}},
            {.name = "matrices", .args = {.alpha = 0.3}, .inputs = {uniform({3, 5}), uniform({5, 19}, -1, 1, 2)}},
            {.name = "a row and a column", .args = {}, .inputs = {uniform({1, 17}), uniform({17, 1}, -1, 1, 2)}},
            {.name = "transposed", .args = {}, .inputs = {permuted({5, 3}, {1, 0}, 1), permuted({4, 5}, {1, 0}, 2)}},
            {.name = "heads",
             .args = {.alpha = 0.5},
             .inputs = {permuted({2, 3, 2, 5}, {0, 2, 1, 3}, 1), permuted({2, 4, 2, 5}, {0, 2, 3, 1}, 2)}},
            {.name = "one matrix for a batch", .args = {}, .inputs = {uniform({2, 3, 2, 5}), uniform({5, 4}, -1, 1, 2)}},
            {.name = "a batch for one matrix", .args = {}, .inputs = {uniform({2, 5}), uniform({3, 5, 4}, -1, 1, 2)}},
            {.name = "broadcast both ways", .args = {}, .inputs = {uniform({2, 1, 3, 2}), uniform({1, 4, 2, 3}, -1, 1, 2)}},
            {.name = "no rows", .args = {}, .inputs = {uniform({2, 0, 3}), uniform({2, 3, 2}, -1, 1, 2)}},
            {.name = "no depth", .args = {}, .inputs = {uniform({2, 0}), uniform({0, 3}, -1, 1, 2)}},
            {.name = "no batch", .args = {}, .inputs = {uniform({0, 2, 2}), uniform({2, 3}, -1, 1, 2)}}};
  }
  static Sample<ops::Matmul> large() {
    return {.name = "large",
            .args = {.alpha = 0.5},
            .inputs = {uniform({4, 131, 65}), uniform({4, 65, 71}, -1, 1, 2)},
            .f32_tolerance = 4e-5,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::Matmul>> bad() {
    return {{.name = "depth", .args = {}, .inputs = {uniform({2, 3}), uniform({4, 2})}, .message = "a f64[2, 3], b f64[4, 2], 3 and 4"},
            {.name = "rank", .args = {}, .inputs = {uniform({3}), uniform({3, 2})}, .message = "rank >= 2: a f64[3]"},
            {.name = "batch", .args = {}, .inputs = {uniform({2, 3, 3}), uniform({5, 3, 3})}, .message = "[2]"},
            {.name = "types", .args = {}, .inputs = {uniform({2, 3}), Tensor::zeros({3, 2}, DType::f32)}, .message = "b f32[3, 2]"},
            {.name = "integers",
             .args = {},
             .inputs = {Tensor::zeros({2, 2}, DType::i32), Tensor::zeros({2, 2}, DType::i32)},
             .message = "a i32[2, 2]"}};
  }
};

template <>
struct Samples<ops::Linear> {
  static constexpr std::array<std::size_t, 2> parameters{1, 2};
  static std::vector<Sample<ops::Linear>> good() {
    const auto inputs = [](const Shape& x, std::int64_t out, bool bias) {
      return std::vector<Tensor>{uniform(x), uniform({out, x[-1]}, -1, 1, 2), bias ? uniform({out}, -1, 1, 3) : Tensor{}};
    };
    return {{.name = "rows", .args = {}, .inputs = inputs({4, 5}, 3, true)},
            {.name = "a vector", .args = {}, .inputs = inputs({5}, 3, true)},
            {.name = "leading axes", .args = {}, .inputs = inputs({2, 1, 3, 17}, 19, true)},
            {.name = "no bias", .args = {}, .inputs = inputs({2, 3, 4}, 5, false)},
            {.name = "one by one", .args = {}, .inputs = inputs({3, 1}, 1, true)},
            {.name = "no rows", .args = {}, .inputs = inputs({0, 3}, 2, true)},
            {.name = "no inputs", .args = {}, .inputs = inputs({2, 0}, 3, true)}};
  }
  static Sample<ops::Linear> large() {
    return {.name = "large",
            .args = {},
            .inputs = {uniform({1411, 65}), uniform({71, 65}, -1, 1, 2), uniform({71}, -1, 1, 3)},
            .f32_tolerance = 4e-5,
            .same_bits = false};
  }
  static std::vector<BadSample<ops::Linear>> bad() {
    return {{.name = "width",
             .args = {},
             .inputs = {uniform({4, 3}), uniform({5, 2}), {}},
             .message = "linear: last axis of x must equal axis 1 of weight: x f64[4, 3], weight f64[5, 2], 3 and 2"},
            {.name = "bias",
             .args = {},
             .inputs = {uniform({4, 3}), uniform({5, 3}), uniform({4})},
             .message = "weight f64[5, 3], bias f64[4]"},
            {.name = "weight", .args = {}, .inputs = {uniform({4, 3}), uniform({3}), {}}, .message = "weight f64[3]"},
            {.name = "types", .args = {}, .inputs = {uniform({4, 3}), Tensor::zeros({5, 3}), {}}, .message = "weight f32[5, 3]"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::MatmulOps>();
}  // namespace

}  // namespace capstan::testing
