#include "autograd/ops/attention.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor i64(std::initializer_list<std::int64_t> values, const Shape& shape) { return Tensor::from<std::int64_t>(values, shape); }
Tensor u8(std::initializer_list<std::uint8_t> values, const Shape& shape) { return Tensor::from<std::uint8_t>(values, shape); }

}  // namespace

template <>
struct Samples<ops::ScaledDotProductAttention> {
  static constexpr std::array<std::size_t, 1> takes_scalar{3};
  static std::vector<Sample<ops::ScaledDotProductAttention>> good() {
    const auto inputs = [](const Shape& q, const Shape& k, const Tensor& mask = {}, const Tensor& padding = {}, const Tensor& offsets = {},
                           const Tensor& ids = {}) {
      return std::vector<Tensor>{uniform(q), uniform(k, -1, 1, 2), uniform(k, -1, 1, 3), mask, padding, offsets, ids};
    };
    const Shape small{2, 3, 2, 5};
    const Tensor packed = i64({0, 3, 3, 7, 8}, {5});
    std::vector<Sample<ops::ScaledDotProductAttention>> list{
        {.name = "plain", .args = {}, .inputs = inputs(small, small)},
        {.name = "one token", .args = {.scale = 0.7, .causal = true}, .inputs = inputs({1, 1, 1, 1}, {1, 1, 1, 1})},
        {.name = "causal, more keys", .args = {.causal = true}, .inputs = inputs({2, 2, 1, 3}, {2, 4, 1, 3})},
        {.name = "causal, more queries", .args = {.causal = true}, .inputs = inputs({1, 5, 1, 3}, {1, 2, 1, 3})},
        {.name = "shared key heads", .args = {.causal = true}, .inputs = inputs({1, 3, 4, 2}, {1, 3, 2, 2})},
        {.name = "padding", .args = {}, .inputs = inputs(small, small, {}, u8({1, 1, 0, 0, 0, 0}, {2, 3}))},
        {.name = "left padding, causal", .args = {.causal = true}, .inputs = inputs(small, small, {}, u8({0, 1, 1, 0, 0, 1}, {2, 3}))},
        {.name = "boolean mask", .args = {}, .inputs = inputs(small, small, u8({1, 0, 1, 0, 0, 0, 1, 1, 1}, {3, 3}))},
        {.name = "added mask", .args = {}, .inputs = inputs(small, small, uniform({2, 1, 3, 3}, -1, 1, 4))},
        {.name = "added mask of a head, causal", .args = {.causal = true}, .inputs = inputs(small, small, uniform({2, 1, 3}, -1, 1, 4))},
        {.name = "dropout", .args = {.dropout = 0.4, .key = 5}, .inputs = inputs(small, small)},
        {.name = "dropout, ids, padding", .args = {.causal = true, .dropout = 0.4, .key = 5},
         .inputs = inputs(small, small, {}, u8({1, 1, 1, 0, 1, 1}, {2, 3}), {}, i64({64, 65, 66, 0, 130, 128}, {2, 3}))},
        {.name = "drop all", .args = {.dropout = 1.0}, .inputs = inputs(small, small)},
        {.name = "packed", .args = {}, .inputs = inputs({8, 2, 3}, {8, 1, 3}, {}, {}, packed)},
        {.name = "packed, causal, dropout, ids", .args = {.causal = true, .dropout = 0.3, .key = 9},
         .inputs = inputs({8, 2, 3}, {8, 2, 3}, {}, {}, packed, i64({0, 1, 2, 70, 71, 72, 73, 9}, {8}))},
        {.name = "no queries", .args = {}, .inputs = inputs({2, 0, 1, 3}, {2, 2, 1, 3})},
        {.name = "no keys", .args = {}, .inputs = inputs({2, 2, 1, 3}, {2, 0, 1, 3})}};
    for (auto& s : list) s.bf16_tolerance = 6e-2, s.f32_tolerance = 5e-5;
    return list;
  }
  static std::vector<BadSample<ops::ScaledDotProductAttention>> bad() {
    const Tensor x = uniform({2, 3, 2, 4}), n = uniform({5, 2, 4});
    const Tensor none;
    return {{.name = "width", .args = {}, .inputs = {x, uniform({2, 3, 2, 5}), uniform({2, 3, 2, 5}), none, none, none, none}, .message = "4 and 5"},
            {.name = "rank", .args = {}, .inputs = {n, n, n, none, none, none, none}, .message = "must be [B, T, H, D]: query f64[5, 2, 4]"},
            {.name = "value", .args = {}, .inputs = {x, x, uniform({2, 4, 2, 4}), none, none, none, none}, .message = "value f64[2, 4, 2, 4]"},
            {.name = "heads", .args = {}, .inputs = {x, uniform({2, 3, 3, 4}), uniform({2, 3, 3, 4}), none, none, none, none}, .message = "2 and 3"},
            {.name = "batch", .args = {}, .inputs = {x, uniform({1, 3, 2, 4}), uniform({1, 3, 2, 4}), none, none, none, none}, .message = "one batch size"},
            {.name = "mask", .args = {}, .inputs = {x, x, x, uniform({2, 3}), none, none, none}, .message = "mask f64[2, 3], scores [2, 2, 3, 3]"},
            {.name = "mask type", .args = {}, .inputs = {x, x, x, Tensor::zeros({3, 3}, DType::i32), none, none, none}, .message = "mask i32[3, 3]"},
            {.name = "padding", .args = {}, .inputs = {x, x, x, none, Tensor::zeros({2, 4}, DType::u8), none, none}, .message = "key_padding u8[2, 4]"},
            {.name = "rate", .args = {.dropout = 1.5}, .inputs = {x, x, x, none, none, none, none}, .message = "dropout 1.5"},
            {.name = "end", .args = {}, .inputs = {n, n, n, none, none, i64({0, 4}, {2}), none}, .message = "first 0, last 4"},
            {.name = "falls", .args = {}, .inputs = {n, n, n, none, none, i64({0, 4, 3, 5}, {4}), none}, .message = "position 2 holds 3"},
            {.name = "packed mask", .args = {}, .inputs = {n, n, n, uniform({1, 1}), none, i64({0, 5}, {2}), none}, .message = "takes no mask"},
            {.name = "ids", .args = {}, .inputs = {x, x, x, none, none, none, Tensor::zeros({6}, DType::i64)}, .message = "token_ids i64[6]"},
            {.name = "negative id", .args = {}, .inputs = {n, n, n, none, none, i64({0, 5}, {2}), i64({0, 1, -2, 3, 4}, {5})}, .message = "position 2 holds -2"}};
  }
};

template <>
struct Samples<ops::AttentionProbabilities> {
  static constexpr std::array<std::size_t, 1> takes_scalar{2};
  static std::vector<Sample<ops::AttentionProbabilities>> good() {
    const Tensor q = uniform({2, 3, 4, 5}), k = uniform({2, 7, 2, 5}, -1, 1, 2), none;
    return {{.name = "plain", .args = {}, .inputs = {q, k, none, none}},
            {.name = "causal, padding", .args = {.causal = true}, .inputs = {q, k, none, u8({1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1}, {2, 7})}},
            {.name = "masks", .args = {.scale = 0.3}, .inputs = {q, k, uniform({4, 1, 7}, -1, 1, 3), none}},
            {.name = "no queries", .args = {}, .inputs = {uniform({2, 0, 4, 5}), k, none, none}}};
  }
  static std::vector<BadSample<ops::AttentionProbabilities>> bad() {
    const Tensor q = uniform({2, 3, 4, 5});
    return {{.name = "width", .args = {}, .inputs = {q, uniform({2, 3, 4, 6}), {}, {}}, .message = "5 and 6"},
            {.name = "mask", .args = {}, .inputs = {q, q, uniform({5, 3}), {}}, .message = "scores [2, 4, 3, 3]"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::AttentionOps>();
}  // namespace

}  // namespace capstan::testing
