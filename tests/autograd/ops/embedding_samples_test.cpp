#include "autograd/ops/embedding.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {

template <>
struct Samples<ops::Embedding> {
  static std::vector<Sample<ops::Embedding>> good() {
    const auto i64 = [](std::initializer_list<std::int64_t> values, const Shape& shape) {
      return Tensor::from<std::int64_t>(values, shape);
    };
    const Tensor repeated = i64({1, 4, 0, 1, 3, 1}, {2, 3});
    std::vector<Sample<ops::Embedding>> list;
    for (const bool sparse : {false, true}) {
      list.push_back({.name = "repeated rows", .args = {.sparse = sparse}, .inputs = {uniform({5, 3}), repeated}});
      list.push_back({.name = "padding and scale",
                      .args = {.padding_index = 1, .scale = 7.07, .sparse = sparse},
                      .inputs = {uniform({5, 19}), repeated}});
      list.push_back(
          {.name = "only padding", .args = {.padding_index = 0, .sparse = sparse}, .inputs = {uniform({2, 3}), i64({0, 0}, {2})}});
      list.push_back({.name = "one index", .args = {.sparse = sparse}, .inputs = {uniform({2, 3}), i64({1}, {})}});
      list.push_back({.name = "no index", .args = {.sparse = sparse}, .inputs = {uniform({2, 3}), i64({}, {2, 0})}});
    }
    return list;
  }
  static Sample<ops::Embedding> large() {
    return {.name = "large", .args = {.padding_index = 1}, .inputs = {uniform({150, kLarge[1]}), some_indices({kLarge[0]}, 150)}};
  }
  static std::vector<BadSample<ops::Embedding>> bad() {
    const Tensor table = uniform({5, 3});
    return {
        {.name = "beyond",
         .args = {},
         .inputs = {table, Tensor::from<std::int64_t>({0, 4, 5}, {3})},
         .message = "position 2 holds 5, V is 5"},
        {.name = "negative",
         .args = {},
         .inputs = {table, Tensor::from<std::int64_t>({-1}, {1})},
         .message = "position 0 holds -1, V is 5"},
        {.name = "index type", .args = {}, .inputs = {table, Tensor::zeros({2}, DType::i32)}, .message = "indices i32[2]"},
        {.name = "table rank",
         .args = {},
         .inputs = {uniform({5}), Tensor::zeros({2}, DType::i64)},
         .message = "must be [V, D]: weight f64[5]"},
        {.name = "padding", .args = {.padding_index = 5}, .inputs = {table, Tensor::zeros({2}, DType::i64)}, .message = "padding_index 5"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::EmbeddingOps>();
}  // namespace

}  // namespace capstan::testing
