#include "autograd/ops/attention.h"

#include <algorithm>

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

Tensor i64(std::initializer_list<std::int64_t> values, const Shape& shape) { return Tensor::from<std::int64_t>(values, shape); }
Tensor u8(std::initializer_list<std::uint8_t> values, const Shape& shape) { return Tensor::from<std::uint8_t>(values, shape); }

/// 1 for most keys, in a pattern that differs from query to query.
Tensor some_keys(const Shape& shape) {
  Tensor t(shape, DType::u8);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<std::uint8_t>()[i] = i % 7 != 2 && i % 5 != 1;
  return t;
}

/// 1 for the keys beside each query.
Tensor band(std::int64_t n) {
  Tensor t = Tensor::zeros({n, n}, DType::u8);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = std::max<std::int64_t>(i - 2, 0); j < std::min(i + 2, n); ++j) t.data<std::uint8_t>()[i * n + j] = 1;
  return t;
}

Tensor counted(const Shape& shape, std::int64_t first) {
  Tensor t(shape, DType::i64);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<std::int64_t>()[i] = first + i;
  return t;
}

std::vector<Tensor> operands(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionInputs& in = {}) {
  return {q, k, v, in.mask, in.bias, in.key_padding, in.cu_seqlens, in.query_ids, in.key_ids};
}

}  // namespace

template <>
struct Samples<ops::ScaledDotProductAttention> {
  static constexpr std::array<std::size_t, 2> takes_scalar{3, 4};  // mask and bias broadcast
  static std::vector<Sample<ops::ScaledDotProductAttention>> good() {
    const auto inputs = [](const Shape& q, const Shape& k, const AttentionInputs& in = {}) {
      return operands(uniform(q), uniform(k, -1, 1, 2), uniform(k, -1, 1, 3), in);
    };
    const auto bias = [](const Shape& shape) { return uniform(shape, -1, 1, 4); };
    const Shape small{2, 3, 2, 5}, windows{6, 3, 2, 4};
    const Tensor packed = i64({0, 3, 3, 7, 8}, {5}), padding = u8({0, 1, 1, 1, 0, 1}, {2, 3});
    const Tensor packed_ids = i64({0, 1, 2, 70, 71, 72, 73, 9}, {8}), padded_ids = i64({64, 65, 66, 0, 130, 128}, {2, 3});
    std::vector<Sample<ops::ScaledDotProductAttention>> list{
        {.name = "plain", .args = {}, .inputs = inputs(small, small)},
        {.name = "one token", .args = {.scale = 0.7, .causal = true}, .inputs = inputs({1, 1, 1, 1}, {1, 1, 1, 1})},
        {.name = "causal, more keys", .args = {.causal = true}, .inputs = inputs({2, 2, 1, 3}, {2, 4, 1, 3})},
        {.name = "causal, more queries", .args = {.causal = true}, .inputs = inputs({1, 5, 1, 3}, {1, 2, 1, 3})},
        {.name = "causal, offset", .args = {.causal = true, .query_offset = 2}, .inputs = inputs({2, 3, 2, 3}, {2, 5, 1, 3})},
        {.name = "causal, offset beyond the keys",
         .args = {.causal = true, .query_offset = 9},
         .inputs = inputs({1, 2, 1, 3}, {1, 4, 1, 3})},
        {.name = "shared key heads", .args = {.causal = true}, .inputs = inputs({1, 3, 4, 2}, {1, 3, 2, 2})},
        {.name = "one key head", .args = {}, .inputs = inputs({1, 3, 4, 2}, {1, 5, 1, 2})},
        {.name = "padding", .args = {}, .inputs = inputs(small, small, {.key_padding = u8({1, 1, 0, 0, 0, 0}, {2, 3})})},
        {.name = "left padding, causal",
         .args = {.causal = true},
         .inputs = inputs(small, small, {.key_padding = u8({0, 1, 1, 0, 0, 1}, {2, 3})})},
        {.name = "mask", .args = {}, .inputs = inputs(small, small, {.mask = u8({1, 0, 1, 0, 0, 0, 1, 1, 1}, {3, 3})})},
        {.name = "mask of every head", .args = {}, .inputs = inputs(small, small, {.mask = some_keys({2, 2, 3, 3})})},
        {.name = "mask of keys alone", .args = {}, .inputs = inputs(small, small, {.mask = u8({1, 0, 1}, {3})})},
        {.name = "bias", .args = {}, .inputs = inputs(small, small, {.bias = bias({2, 2, 3, 3})})},
        {.name = "bias of a sample", .args = {}, .inputs = inputs(small, small, {.bias = bias({2, 1, 3, 3})})},
        {.name = "bias of a head, causal", .args = {.causal = true}, .inputs = inputs(small, small, {.bias = bias({2, 1, 3})})},
        {.name = "bias of queries and keys", .args = {}, .inputs = inputs(small, small, {.bias = bias({3, 3})})},
        {.name = "bias of a query", .args = {}, .inputs = inputs(small, small, {.bias = bias({2, 3, 1})})},
        {.name = "bias of keys alone", .args = {}, .inputs = inputs(small, small, {.bias = bias({3})})},
        {.name = "bias, one number", .args = {}, .inputs = inputs(small, small, {.bias = bias({1})})},
        {.name = "bias of shared key heads", .args = {}, .inputs = inputs({2, 2, 4, 3}, {2, 3, 2, 3}, {.bias = bias({4, 2, 3})})},
        {.name = "mask and bias", .args = {}, .inputs = inputs(small, small, {.mask = some_keys({2, 1, 3, 3}), .bias = bias({2, 3, 3})})},
        {.name = "mask, bias, padding, causal, offset, dropout",
         .args = {.causal = true, .query_offset = 1, .dropout = 0.3, .key = 4},
         .inputs = inputs({2, 2, 2, 5}, small, {.mask = u8({1, 1, 0, 1, 1, 1}, {2, 3}), .bias = bias({2, 2, 3}), .key_padding = padding})},
        {.name = "windows", .args = {}, .inputs = inputs(windows, windows, {.mask = some_keys({3, 1, 3, 3}), .bias = bias({3, 2, 3, 3})})},
        {.name = "windows, bias of all heads",
         .args = {.dropout = 0.2, .key = 3},
         .inputs = inputs(windows, windows, {.bias = bias({3, 1, 3, 3})})},
        {.name = "windows, mask of some, bias of heads",
         .args = {},
         .inputs = inputs(windows, windows, {.mask = some_keys({2, 1, 3, 3}), .bias = bias({1, 2, 3, 3})})},
        {.name = "dropout", .args = {.dropout = 0.4, .key = 5}, .inputs = inputs(small, small)},
        {.name = "dropout, ids, padding",
         .args = {.causal = true, .dropout = 0.4, .key = 5},
         .inputs = inputs(small, small, {.key_padding = u8({1, 1, 1, 0, 1, 1}, {2, 3}), .query_ids = padded_ids, .key_ids = padded_ids})},
        {.name = "dropout, ids of other keys",
         .args = {.dropout = 0.4, .key = 5},
         .inputs = inputs({2, 1, 2, 5}, small, {.query_ids = i64({7, 3}, {2, 1}), .key_ids = padded_ids})},
        {.name = "drop all", .args = {.dropout = 1.0}, .inputs = inputs(small, small)},
        {.name = "packed", .args = {}, .inputs = inputs({8, 2, 3}, {8, 1, 3}, {.cu_seqlens = packed})},
        {.name = "packed, causal, dropout, ids",
         .args = {.causal = true, .dropout = 0.3, .key = 9},
         .inputs = inputs({8, 2, 3}, {8, 2, 3}, {.cu_seqlens = packed, .query_ids = packed_ids, .key_ids = packed_ids})},
        {.name = "no queries", .args = {}, .inputs = inputs({2, 0, 1, 3}, {2, 2, 1, 3}, {.bias = bias({1, 1, 2})})},
        {.name = "no keys", .args = {}, .inputs = inputs({2, 2, 1, 3}, {2, 0, 1, 3}, {.bias = bias({2, 1, 2, 1})})},
        {.name = "a query, many keys",
         .args = {.causal = true, .query_offset = 512, .dropout = 0.2, .key = 7},
         .inputs = inputs({1, 1, 2, 1}, {1, 513, 1, 1})},
        // 65,536 scores, enough for several threads; a mask that leaves few of them keeps the numeric gradient affordable.
        {.name = "many", .args = {}, .inputs = inputs({2, 128, 2, 1}, {2, 128, 1, 1}, {.mask = band(128), .bias = bias({128})})}};
    for (auto& s : list) {
      const bool without_keys = s.inputs[4].defined() && s.inputs[4].size(-1) == 1;  // its gradient is 0 but for rounding
      if (without_keys) s.f32 = s.bf16 = false;
    }
    for (auto& s : list) s.bf16_tolerance = 6e-2, s.f32_tolerance = 5e-5;
    return list;
  }
  static Sample<ops::ScaledDotProductAttention> large() {
    const Shape q{2, 113, 4, 8}, k{2, 113, 2, 8};
    Tensor padding = Tensor::full({2, 113}, 1, DType::u8);
    padding.data<std::uint8_t>()[112] = 0;
    return {.name = "large",
            .args = {.causal = true, .dropout = 0.2, .key = 6},
            .inputs = operands(uniform(q), uniform(k, -1, 1, 2), uniform(k, -1, 1, 3),
                               {.bias = uniform({4, 113, 113}, -1, 1, 4), .key_padding = padding}),
            .f32_tolerance = 5e-5,
            .bf16_tolerance = 6e-2};
  }
  static std::vector<BadSample<ops::ScaledDotProductAttention>> bad() {
    const Tensor x = uniform({2, 3, 2, 4}), n = uniform({5, 2, 4}), ids = counted({2, 3}, 0);
    const auto with = [&](const AttentionInputs& in) { return operands(x, x, x, in); };
    const auto packed = [&](AttentionInputs in, const Tensor& cu_seqlens) {
      in.cu_seqlens = cu_seqlens;
      return operands(n, n, n, in);
    };
    const auto keys = [&](const Tensor& k, const Tensor& v) { return operands(x, k, v); };
    const auto zeros = [](const Shape& shape, DType dtype) { return Tensor::zeros(shape, dtype); };
    const Tensor wide = uniform({2, 3, 2, 5}), heads = uniform({2, 3, 3, 4}), one = uniform({1, 3, 2, 4}), five = i64({0, 5}, {2});
    return {
        {.name = "width", .args = {}, .inputs = keys(wide, wide), .message = "4 and 5"},
        {.name = "rank", .args = {}, .inputs = operands(n, n, n), .message = "must be [B, T, H, D]: query f64[5, 2, 4]"},
        {.name = "value", .args = {}, .inputs = keys(x, uniform({2, 4, 2, 4})), .message = "value f64[2, 4, 2, 4]"},
        {.name = "heads", .args = {}, .inputs = keys(heads, heads), .message = "2 and 3"},
        {.name = "batch", .args = {}, .inputs = keys(one, one), .message = "one batch size"},
        {.name = "mask", .args = {}, .inputs = with({.mask = zeros({2, 3}, DType::u8)}), .message = "mask u8[2, 3], scores [2, 2, 3, 3]"},
        {.name = "mask type",
         .args = {},
         .inputs = with({.mask = uniform({3, 3})}),
         .message = "numbers to add are a bias): query f64[2, 3, 2, 4], mask f64[3, 3]"},
        {.name = "bias", .args = {}, .inputs = with({.bias = uniform({3, 3, 3})}), .message = "bias f64[3, 3, 3], scores [2, 2, 3, 3]"},
        {.name = "bias type", .args = {}, .inputs = with({.bias = zeros({3, 3}, DType::u8)}), .message = "bias u8[3, 3]"},
        {.name = "bias rank", .args = {}, .inputs = with({.bias = uniform({1, 1, 1, 3, 3})}), .message = "bias f64[1, 1, 1, 3, 3]"},
        {.name = "repeats",
         .args = {},
         .inputs = with({.bias = uniform({4, 1, 3, 3})}),
         .message = "its leading axis repeating if it divides B: bias f64[4, 1, 3, 3]"},
        {.name = "repeats three times in two",
         .args = {},
         .inputs = with({.mask = zeros({3, 1, 1, 3}, DType::u8)}),
         .message = "mask u8[3, 1, 1, 3]"},
        {.name = "padding", .args = {}, .inputs = with({.key_padding = zeros({2, 4}, DType::u8)}), .message = "key_padding u8[2, 4]"},
        {.name = "offset", .args = {.causal = true, .query_offset = -1}, .inputs = with({}), .message = "query_offset -1"},
        {.name = "offset alone", .args = {.query_offset = 2}, .inputs = with({}), .message = "0 without causal: query_offset 2"},
        {.name = "rate", .args = {.dropout = 1.5}, .inputs = with({}), .message = "dropout 1.5"},
        {.name = "end", .args = {}, .inputs = packed({}, i64({0, 4}, {2})), .message = "first 0, last 4"},
        {.name = "falls", .args = {}, .inputs = packed({}, i64({0, 4, 3, 5}, {4})), .message = "position 2 holds 3"},
        {.name = "packed mask", .args = {}, .inputs = packed({.mask = zeros({1, 1}, DType::u8)}, five), .message = "takes no mask"},
        {.name = "packed bias", .args = {}, .inputs = packed({.bias = uniform({1, 1})}, five), .message = "bias f64[1, 1]"},
        {.name = "packed offset",
         .args = {.causal = true, .query_offset = 1},
         .inputs = packed({}, five),
         .message = "takes no query_offset"},
        {.name = "query ids", .args = {}, .inputs = with({.query_ids = counted({6}, 0), .key_ids = ids}), .message = "query_ids i64[6]"},
        {.name = "key ids",
         .args = {},
         .inputs = with({.query_ids = ids, .key_ids = counted({2, 4}, 0)}),
         .message = "key_ids must be i64, one for each token of key: key f64[2, 3, 2, 4], key_ids i64[2, 4]"},
        {.name = "ids of queries alone", .args = {}, .inputs = with({.query_ids = ids}), .message = "come together: query_ids i64[2, 3]"},
        {.name = "ids of keys alone", .args = {}, .inputs = with({.key_ids = ids}), .message = "come together"},
        {.name = "negative query id",
         .args = {},
         .inputs = packed({.query_ids = i64({0, 1, -2, 3, 4}, {5}), .key_ids = counted({5}, 0)}, five),
         .message = "query_ids must be >= 0: position 2 holds -2"},
        {.name = "negative key id",
         .args = {},
         .inputs = with({.query_ids = ids, .key_ids = counted({2, 3}, -1)}),
         .message = "key_ids must be >= 0: position 0 holds -1"}};
  }
};

template <>
struct Samples<ops::AttentionProbabilities> {
  static constexpr std::array<std::size_t, 2> takes_scalar{2, 3};
  static std::vector<Sample<ops::AttentionProbabilities>> good() {
    const Tensor q = uniform({2, 3, 4, 5}), k = uniform({2, 7, 2, 5}, -1, 1, 2), none;
    const Tensor many_q = uniform({4, 40, 4, 9}), many_k = uniform({4, 50, 2, 9}, -1, 1, 2);
    return {{.name = "plain", .args = {}, .inputs = {q, k, none, none, none}},
            {.name = "causal, padding",
             .args = {.causal = true},
             .inputs = {q, k, none, none, u8({1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1}, {2, 7})}},
            {.name = "offset", .args = {.causal = true, .query_offset = 3}, .inputs = {q, k, none, none, none}},
            {.name = "bias", .args = {.scale = 0.3}, .inputs = {q, k, none, uniform({4, 1, 7}, -1, 1, 3), none}},
            {.name = "mask and bias", .args = {}, .inputs = {q, k, some_keys({2, 1, 3, 7}), uniform({1, 4, 3, 7}, -1, 1, 3), none}},
            {.name = "many, repeating",
             .args = {},
             .inputs = {many_q, many_k, some_keys({2, 1, 40, 50}), uniform({2, 4, 40, 50}, -1, 1, 3), none}},
            {.name = "no queries", .args = {}, .inputs = {uniform({2, 0, 4, 5}), k, none, none, none}}};
  }
  static Sample<ops::AttentionProbabilities> large() {
    const Tensor q = uniform({4, 81, 4, 9}), k = uniform({4, 80, 2, 9}, -1, 1, 2);
    return {.name = "large", .args = {}, .inputs = {q, k, some_keys({2, 1, 81, 80}), uniform({2, 4, 81, 80}, -1, 1, 3), {}}};
  }
  static std::vector<BadSample<ops::AttentionProbabilities>> bad() {
    const Tensor q = uniform({2, 3, 4, 5}), none;
    return {{.name = "width", .args = {}, .inputs = {q, uniform({2, 3, 4, 6}), none, none, none}, .message = "5 and 6"},
            {.name = "mask", .args = {}, .inputs = {q, q, Tensor::zeros({5, 3}, DType::u8), none, none}, .message = "scores [2, 4, 3, 3]"},
            {.name = "bias", .args = {}, .inputs = {q, q, none, uniform({5, 3}), none}, .message = "bias f64[5, 3], scores [2, 4, 3, 3]"},
            {.name = "offset", .args = {.query_offset = 1}, .inputs = {q, q, none, none, none}, .message = "query_offset 1"}};
  }
};

namespace {
[[maybe_unused]] const bool registered = register_family<ops::AttentionOps>();
}  // namespace

}  // namespace capstan::testing
