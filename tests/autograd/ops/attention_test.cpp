#include "autograd/ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/kernels/backend.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/softmax.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan {
namespace {

using testing::uniform;
using testing::convert;
using Args = ops::ScaledDotProductAttention::Args;

struct Result {
  Tensor y;
  std::vector<Tensor> gradients;  // of query, key, value and, where it is added, mask
};

Result run(std::vector<Tensor> in, const Args& args, AttentionInputs extra, const Tensor& dy) {
  for (Tensor& t : in) t = make_leaf(t);
  const bool added = extra.mask.defined() && is_floating(extra.mask.dtype());
  if (added) extra.mask = make_leaf(extra.mask);
  Tape tape;
  Result r;
  r.y = scaled_dot_product_attention(in[0], in[1], in[2], args, extra);
  const Gradients g = tape.backward(std::span(&r.y, 1), std::span(&dy, 1));
  for (const Tensor& t : in) r.gradients.push_back(g.of(t).dense());
  if (added) r.gradients.push_back(g.of(extra.mask).dense());
  return r;
}

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  const auto a = actual.to_vector(), e = expected.to_vector();
  ASSERT_EQ(a.size(), e.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], e[i], tolerance * (1 + std::abs(e[i]))) << what << ", element " << i;
}

Tensor padding(std::int64_t batch, std::int64_t keys) {  // sequence b has keys - 31 b real keys, at the end; the last one has none
  Tensor t = Tensor::zeros({batch, keys}, DType::u8);
  for (std::int64_t b = 0; b + 1 < batch; ++b)
    for (std::int64_t j = std::min(keys, 31 * b); j < keys; ++j) t.data<std::uint8_t>()[b * keys + j] = 1;
  return t;
}

// Sizes beyond one block of queries, strip of the causal limit and panel of columns.
TEST(Attention, FastKernelsAgreeWithTheReference) {
  struct Case {
    std::int64_t queries, keys, heads, key_heads, width;
    bool causal, pad, dropout;
    int mask;  // 0 none, 1 boolean, 2 added
  };
  for (const Case& c : {Case{200, 200, 1, 1, 50, true, true, true, 0}, Case{197, 197, 3, 3, 64, false, false, true, 0}, Case{131, 250, 2, 1, 17, true, false, true, 2},
                        Case{250, 99, 2, 2, 8, true, true, false, 0}, Case{25, 49, 2, 2, 33, false, true, true, 1}, Case{97, 24, 4, 2, 16, true, true, false, 2}}) {
    const std::int64_t batch = 3;
    const Tensor q = uniform({batch, c.queries, c.heads, c.width}, -2, 2, 1), k = uniform({batch, c.keys, c.key_heads, c.width}, -2, 2, 2),
                 v = uniform({batch, c.keys, c.key_heads, c.width}, -2, 2, 3), dy = uniform(q.shape(), -1, 1, 4);
    AttentionInputs extra;
    if (c.pad) extra.key_padding = padding(batch, c.keys);
    if (c.mask == 1) {
      extra.mask = Tensor::zeros({c.heads, c.queries, c.keys}, DType::u8);
      for (std::int64_t i = 0; i < extra.mask.numel(); ++i) extra.mask.data<std::uint8_t>()[i] = i % 7 != 2 && i / c.keys % 5 != 0;
    }
    if (c.mask == 2) extra.mask = uniform({c.heads, c.queries, c.keys}, -2, 2, 5);
    const Args args{.causal = c.causal, .dropout = c.dropout ? 0.2 : 0.0, .key = 77};
    for (const DType dtype : {DType::f32, DType::bf16}) {
      std::vector<Tensor> narrow = convert({q, k, v, dy}, dtype), wide = convert(narrow, DType::f64);
      AttentionInputs narrow_extra = extra, wide_extra = extra;
      if (c.mask == 2) narrow_extra.mask = convert(extra.mask, dtype), wide_extra.mask = convert(narrow_extra.mask, DType::f64);
      const Result expected = run({wide[0], wide[1], wide[2]}, args, wide_extra, wide[3]), actual = run({narrow[0], narrow[1], narrow[2]}, args, narrow_extra, narrow[3]);
      const double tolerance = dtype == DType::f32 ? 2e-5 : 4e-2;
      SCOPED_TRACE(::testing::Message() << c.queries << " queries, " << c.keys << " keys, " << name_of(dtype));
      expect_near(actual.y, expected.y, tolerance, "output");
      for (std::size_t i = 0; i < actual.gradients.size(); ++i) expect_near(actual.gradients[i], expected.gradients[i], tolerance, "gradient " + std::to_string(i));
    }
  }
}

// The same from matmul and softmax.
TEST(Attention, EqualsMatmulAndSoftmax) {
  const Tensor q = uniform({2, 4, 3, 5}, -1, 1, 1), k = uniform({2, 6, 3, 5}, -1, 1, 2), v = uniform({2, 6, 3, 5}, -1, 1, 3);
  Tensor mask = Tensor::full({4, 6}, 1, DType::u8);
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = i + 1; j < 6; ++j) mask.data<std::uint8_t>()[i * 6 + j] = 0;
  const std::array<int, 4> tokens{0, 2, 3, 1}, heads{0, 2, 1, 3};
  const Tensor scores = matmul(q.view(q.layout().permute(heads)), k.view(k.layout().permute(tokens)), 1 / std::sqrt(5.0));
  const Tensor weights = softmax(scores, -1, mask), y = matmul(weights, v.view(v.layout().permute(heads)));
  const Tensor expected = y.view(y.layout().permute(heads));
  expect_near(scaled_dot_product_attention(q, k, v, {.causal = true}), expected, 1e-14, "causal");
  expect_near(scaled_dot_product_attention(q, k, v, {}, {.mask = mask}), expected, 1e-14, "boolean mask");
  expect_near(attention_probabilities(q, k, {.causal = true}), weights, 1e-14, "probabilities");
}

TEST(Attention, RowsWithoutKeysAreZeroAndPassNoGradient) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const std::vector<Tensor> in = convert({uniform({1, 2, 1, 3}), uniform({1, 2, 1, 3}, -1, 1, 2), uniform({1, 2, 1, 3}, -1, 1, 3)}, dtype);
    const Tensor dy = Tensor::full({1, 2, 1, 3}, 1.0, dtype);
    const Tensor boolean = Tensor::from<std::uint8_t>({1, 1, 0, 0}, {2, 2});
    const double low = -std::numeric_limits<double>::infinity();
    for (const Tensor& mask : {boolean, convert(Tensor::from<double>({0, 0, low, low}, {2, 2}), dtype)}) {
      const Result r = run(in, {}, {.mask = mask}, dy);
      const auto y = r.y.to_vector(), dq = r.gradients[0].to_vector();
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(std::isfinite(y[i]));
        EXPECT_NE(dq[i], 0.0);
        EXPECT_EQ(y[3 + i], 0.0);
        EXPECT_EQ(dq[3 + i], 0.0);
      }
      for (const Tensor& g : r.gradients)
        for (const double x : g.to_vector()) EXPECT_TRUE(std::isfinite(x));
    }
    const Result all = run(in, {.dropout = 0.5, .key = 1}, {.key_padding = Tensor::zeros({1, 2}, DType::u8)}, dy);
    for (const Tensor& t : {all.y, all.gradients[0], all.gradients[1], all.gradients[2]})
      for (const double x : t.to_vector()) EXPECT_EQ(x, 0.0);
  }
}

TEST(Attention, FloatMaskOfTenThousandIsNoRemoval) {  // BERT's (1 - mask) * -10000 on every key leaves the softmax as it was
  const Tensor x = convert(uniform({1, 3, 1, 4}), DType::f32);
  const Tensor mask = Tensor::full({1, 3}, -10000.0, DType::f32);
  expect_near(scaled_dot_product_attention(x, x, x, {}, {.mask = mask}), scaled_dot_product_attention(x, x, x), 2e-3, "output");
}

TEST(Attention, NotANumberStaysVisible) {
  const Tensor q = Tensor::full({1, 20, 1, 4}, std::nan(""), DType::f32), k = Tensor::full({1, 20, 1, 4}, 1.0, DType::f32);
  for (const double x : scaled_dot_product_attention(q, k, k).to_vector()) EXPECT_TRUE(std::isnan(x));
}

// Three sequences padded on the left to 70 tokens, and the same three packed: with the same ids the same dropout.
TEST(Attention, PackedEqualsPadded) {
  const std::vector<std::int64_t> lengths{70, 3, 41};
  const std::int64_t batch = 3, longest = 70, heads = 2, width = 10;
  const Tensor q = convert(uniform({batch, longest, heads, width}, -1, 1, 1), DType::f32), k = convert(uniform(q.shape(), -1, 1, 2), DType::f32),
               v = convert(uniform(q.shape(), -1, 1, 3), DType::f32);
  std::vector<std::int64_t> offsets{0}, ids(static_cast<std::size_t>(batch * longest), 0), packed_ids;
  std::vector<std::uint8_t> real(ids.size(), 0);
  std::vector<std::int64_t> tokens;  // of the padded batch, in packed order
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t n = lengths[static_cast<std::size_t>(b)];
    offsets.push_back(offsets.back() + n);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t token = b * longest + longest - n + i;
      real[static_cast<std::size_t>(token)] = 1;
      packed_ids.push_back(ids[static_cast<std::size_t>(token)] = 128 * b + i);
      tokens.push_back(token);
    }
  }
  const auto pack = [&](const Tensor& t) {
    Tensor out({static_cast<std::int64_t>(tokens.size()), heads, width});
    for (std::size_t i = 0; i < tokens.size(); ++i)
      std::copy_n(t.data<float>() + tokens[i] * heads * width, heads * width, out.data<float>() + static_cast<std::int64_t>(i) * heads * width);
    return out;
  };
  for (const bool causal : {false, true}) {
    const Args args{.causal = causal, .dropout = 0.25, .key = 3};
    const Tensor padded_dy = convert(uniform(q.shape(), -1, 1, 4), DType::f32);
    Tensor dy = padded_dy.clone();
    for (std::size_t i = 0; i < real.size(); ++i)
      if (real[i] == 0) std::fill_n(dy.data<float>() + static_cast<std::int64_t>(i) * heads * width, heads * width, 0.0f);
    const Result padded = run({q, k, v}, args, {.key_padding = Tensor::from(real, {batch, longest}), .token_ids = Tensor::from(ids, {batch, longest})}, dy);
    const Result packed = run({pack(q), pack(k), pack(v)}, args,
                              {.cu_seqlens = Tensor::from(offsets, {4}), .token_ids = Tensor::from(packed_ids, {static_cast<std::int64_t>(tokens.size())})}, pack(dy));
    expect_near(packed.y, pack(padded.y), 1e-6, "output");
    for (std::size_t i = 0; i < 3; ++i) expect_near(packed.gradients[i], pack(padded.gradients[i]), 2e-6, "gradient " + std::to_string(i));
  }
}

// With values of 1 an output is the sum of the kept probabilities over P(keep).
TEST(Attention, DropoutHasItsRateAndMean) {
  const std::int64_t batch = 8, tokens = 100, heads = 4;
  const Tensor q = Tensor::zeros({batch, tokens, heads, 1}), v = Tensor::full(q.shape(), 1.0);
  const auto first = scaled_dot_product_attention(q, q, v, {.dropout = 0.3, .key = 1}).to_vector();
  double mean = 0, square = 0;
  for (const double x : first) mean += x, square += x * x;
  const auto n = static_cast<double>(first.size());
  mean /= n;
  const double variance = square / n - mean * mean, expected = 0.3 / 0.7 / static_cast<double>(tokens);
  EXPECT_NEAR(mean, 1.0, 5 * std::sqrt(expected / n));
  EXPECT_NEAR(variance, expected, 0.1 * expected);
  EXPECT_NE(first, scaled_dot_product_attention(q, q, v, {.dropout = 0.3, .key = 2}).to_vector());
}

TEST(Attention, ReadsViewsOfACommonProjection) {
  const Tensor qkv = convert(uniform({2, 40, 3, 2, 8}), DType::f32);  // [B, T, 3, H, D]
  const auto part = [&](std::int64_t i) { return qkv.view(*qkv.layout().slice(2, i, 1).reshape({2, 40, 2, 8})); };
  const Tensor expected = scaled_dot_product_attention(part(0).contiguous(), part(1).contiguous(), part(2).contiguous(), {.causal = true});
  EXPECT_EQ(scaled_dot_product_attention(part(0), part(1), part(2), {.causal = true}).to_vector(), expected.to_vector());
}

}  // namespace
}  // namespace capstan
