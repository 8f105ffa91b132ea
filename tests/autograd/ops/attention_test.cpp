#include "autograd/ops/attention.h"

#include <gtest/gtest.h>

#include <omp.h>

#include <array>
#include <cmath>
#include <limits>

#include "autograd/core/storage.h"
#include "autograd/kernels/backend.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "tests/autograd/ops/op_table.h"

namespace capstan {
namespace {

using testing::convert;
using testing::uniform;
using Args = ops::ScaledDotProductAttention::Args;

struct Result {
  Tensor y;
  std::vector<Tensor> gradients;  // of query, key, value and, where there is one, bias
};

Result run(std::vector<Tensor> in, const Args& args, AttentionInputs extra, const Tensor& dy) {
  for (Tensor& t : in) t = make_leaf(t);
  if (extra.bias.defined()) extra.bias = make_leaf(extra.bias);
  Tape tape;
  Result r;
  r.y = scaled_dot_product_attention(in[0], in[1], in[2], args, extra);
  const Gradients g = tape.backward(std::span(&r.y, 1), std::span(&dy, 1));
  for (const Tensor& t : in) r.gradients.push_back(g.of(t).dense());
  if (extra.bias.defined()) r.gradients.push_back(g.of(extra.bias).dense());
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
    bool causal, pad, dropout, mask;
    Shape bias;  // of rank 1: none
    std::int64_t offset = 0;
  };
  const Shape none{1};
  for (const Case& c :
       {Case{200, 200, 1, 1, 50, true, true, true, false, none}, Case{197, 197, 3, 3, 64, false, false, true, false, none},
        Case{131, 250, 2, 1, 17, true, false, true, false, {2, 131, 250}, 30}, Case{250, 99, 2, 2, 8, true, true, false, false, none},
        Case{25, 49, 2, 2, 33, false, true, true, true, {3, 1, 25, 49}}, Case{97, 24, 4, 2, 16, true, true, false, false, {4, 97, 24}},
        Case{97, 130, 4, 2, 16, true, true, true, true, {1, 1, 97, 130}, 33},
        Case{49, 49, 4, 4, 16, false, false, true, true, {3, 4, 49, 49}},
        Case{3, 300, 4, 1, 40, true, true, true, true, {3, 1, 1, 300}, 290}, Case{1, 270, 4, 2, 64, false, true, false, false, none},
        Case{2, 277, 2, 1, 19, true, false, false, false, {2, 1, 277}, 270},
        Case{2, 1100, 4, 1, 24, true, true, true, true, {3, 1, 1, 1100}, 1090}, Case{4, 777, 4, 2, 17, true, false, true, false, none, 253},
        Case{1, 530, 3, 3, 8, false, true, false, true, {3, 1, 530}}}) {
    const std::int64_t batch = 3;
    const Tensor q = uniform({batch, c.queries, c.heads, c.width}, -2, 2, 1), k = uniform({batch, c.keys, c.key_heads, c.width}, -2, 2, 2),
                 v = uniform({batch, c.keys, c.key_heads, c.width}, -2, 2, 3), dy = uniform(q.shape(), -1, 1, 4);
    AttentionInputs extra;
    if (c.pad) extra.key_padding = padding(batch, c.keys);
    if (c.mask) {
      extra.mask = Tensor::zeros({c.heads, c.queries, c.keys}, DType::u8);
      for (std::int64_t i = 0; i < extra.mask.numel(); ++i) extra.mask.data<std::uint8_t>()[i] = i % 7 != 2 && i / c.keys % 5 != 0;
    }
    if (c.bias.rank() > 1) extra.bias = uniform(c.bias, -2, 2, 5);
    const Args args{.causal = c.causal, .query_offset = c.offset, .dropout = c.dropout ? 0.2 : 0.0, .key = 77};
    for (const DType dtype : {DType::f32, DType::bf16}) {
      std::vector<Tensor> narrow = convert({q, k, v, dy}, dtype), wide = convert(narrow, DType::f64);
      AttentionInputs narrow_extra = extra, wide_extra = extra;
      narrow_extra.bias = convert(extra.bias, dtype), wide_extra.bias = convert(narrow_extra.bias, DType::f64);
      const Result expected = run({wide[0], wide[1], wide[2]}, args, wide_extra, wide[3]),
                   actual = run({narrow[0], narrow[1], narrow[2]}, args, narrow_extra, narrow[3]);
      const double tolerance = dtype == DType::f32 ? 2e-5 : 4e-2;
      SCOPED_TRACE(::testing::Message() << c.queries << " queries, " << c.keys << " keys, " << name_of(dtype));
      expect_near(actual.y, expected.y, tolerance, "output");
      for (std::size_t i = 0; i < actual.gradients.size(); ++i)
        expect_near(actual.gradients[i], expected.gradients[i], tolerance, "gradient " + std::to_string(i));
    }
  }
}

// Widths and lengths around words of two bf16, vectors, tiles of rows and strips, forward and backward.
TEST(Attention, EveryWidthAndLengthAgreesWithTheReference) {
  struct Case {
    std::int64_t queries, keys, width;
  };
  std::vector<Case> cases;
  for (const std::int64_t width : {1, 2, 3, 15, 16, 18, 31, 33, 50, 63, 65, 130}) cases.push_back({26, 19, width});
  for (const std::int64_t keys : {1, 2, 3, 16, 17, 31, 47, 49, 63, 64, 65, 67}) cases.push_back({29, keys, 6});
  for (const std::int64_t queries : {1, 2, 3, 5, 7, 11, 23, 24, 25, 47, 145, 150}) cases.push_back({queries, 21, 10});
  for (const auto& [queries, keys, width] : cases) {
    const Tensor q = uniform({2, queries, 2, width}, -1, 1, 1), k = uniform({2, keys, 1, width}, -1, 1, 2),
                 v = uniform(k.shape(), -1, 1, 3), dy = uniform(q.shape(), -1, 1, 4);
    for (const bool causal : {false, true}) {
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Args args{.causal = causal, .query_offset = causal ? 3 : 0, .dropout = causal ? 0.1 : 0.0, .key = 5};
        const std::vector<Tensor> narrow = convert({q, k, v, dy}, dtype), wide = convert(narrow, DType::f64);
        const Result expected = run({wide[0], wide[1], wide[2]}, args, {}, wide[3]),
                     actual = run({narrow[0], narrow[1], narrow[2]}, args, {}, narrow[3]);
        SCOPED_TRACE(::testing::Message() << queries << " queries, " << keys << " keys, width " << width << ", " << name_of(dtype));
        const double tolerance = dtype == DType::f32 ? 2e-5 : 4e-2;
        expect_near(actual.y, expected.y, tolerance, "output");
        for (std::size_t i = 0; i < 3; ++i) expect_near(actual.gradients[i], expected.gradients[i], tolerance, "gradient");
      }
    }
  }
}

// Operands as they lie: with the width of a head first, or every second number of it.
TEST(Attention, OperandsOfAnyStridesGetTheSameBits) {
  const std::array<int, 4> width_last{0, 3, 2, 1};
  const auto width_first = [&](const Tensor& t) {
    const Tensor turned = t.view(t.layout().permute(width_last)).contiguous();  // [B, D, H, T]
    return turned.view(turned.layout().permute(width_last));
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t width : {18, 35}) {
      const std::vector<Tensor> in = convert({uniform({2, 27, 2, width}, -1, 1, 1), uniform({2, 37, 2, width}, -1, 1, 2),
                                              uniform({2, 37, 2, width}, -1, 1, 3), uniform({2, 27, 2, width}, -1, 1, 4)},
                                             dtype);
      const auto every_second = [&](const Tensor& t) {
        const Shape pairs{t.size(0), t.size(1), t.size(2), width, 1};
        const Tensor twice = concat({t.view(*t.layout().reshape(pairs)), Tensor::zeros(pairs, dtype)}, 4);
        return twice.view(*twice.layout().slice(4, 0, 1).reshape(t.shape()));
      };
      const Result expected = run({in[0], in[1], in[2]}, {}, {}, in[3]);
      const std::vector<Result> others{run({width_first(in[0]), width_first(in[1]), width_first(in[2])}, {}, {}, in[3]),
                                       run({every_second(in[0]), every_second(in[1]), every_second(in[2])}, {}, {}, in[3])};
      for (const Result& actual : others) {
        EXPECT_EQ(actual.y.to_vector(), expected.y.to_vector()) << name_of(dtype) << ", width " << width;
        for (std::size_t i = 0; i < 3; ++i)
          EXPECT_EQ(actual.gradients[i].to_vector(), expected.gradients[i].to_vector()) << "gradient " << i << ", width " << width;
      }
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
    const std::vector<Tensor> in =
        convert({uniform({1, 2, 1, 3}), uniform({1, 2, 1, 3}, -1, 1, 2), uniform({1, 2, 1, 3}, -1, 1, 3)}, dtype);
    const Tensor dy = Tensor::full({1, 2, 1, 3}, 1.0, dtype);
    const Tensor boolean = Tensor::from<std::uint8_t>({1, 1, 0, 0}, {2, 2});
    const double low = -std::numeric_limits<double>::infinity();
    const Tensor minus_infinity = convert(Tensor::from<double>({0, 0, low, low}, {2, 2}), dtype);
    for (const AttentionInputs& extra : {AttentionInputs{.mask = boolean}, AttentionInputs{.bias = minus_infinity}}) {
      const Result r = run(in, {}, extra, dy);
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

TEST(Attention, BiasOfTenThousandIsNoRemoval) {  // BERT's (1 - mask) * -10000 on every key leaves the softmax as it was
  const Tensor x = convert(uniform({1, 3, 1, 4}), DType::f32);
  const Tensor bias = Tensor::full({1, 3}, -10000.0, DType::f32);
  expect_near(scaled_dot_product_attention(x, x, x, {}, {.bias = bias}), scaled_dot_product_attention(x, x, x), 2e-3, "output");
}

TEST(Attention, NotANumberStaysVisible) {
  const Tensor q = Tensor::full({1, 20, 1, 4}, std::nan(""), DType::f32), k = Tensor::full({1, 20, 1, 4}, 1.0, DType::f32);
  for (const double x : scaled_dot_product_attention(q, k, k).to_vector()) EXPECT_TRUE(std::isnan(x));
  const Tensor many = Tensor::full({1, 900, 1, 4}, 1.0, DType::f32), query = Tensor::full({1, 1, 1, 4}, 1.0, DType::f32);
  many.data<float>()[4 * 700] = std::nanf("");
  for (const double x : scaled_dot_product_attention(query, many, many).to_vector()) EXPECT_TRUE(std::isnan(x));
}

// Three sequences padded on the left to 70 tokens, and the same three packed: with the same ids the same dropout.
TEST(Attention, PackedEqualsPadded) {
  const std::vector<std::int64_t> lengths{70, 3, 41};
  const std::int64_t batch = 3, longest = 70, heads = 2, width = 10;
  const Tensor q = convert(uniform({batch, longest, heads, width}, -1, 1, 1), DType::f32),
               k = convert(uniform(q.shape(), -1, 1, 2), DType::f32), v = convert(uniform(q.shape(), -1, 1, 3), DType::f32);
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
      std::copy_n(t.data<float>() + tokens[i] * heads * width, heads * width,
                  out.data<float>() + static_cast<std::int64_t>(i) * heads * width);
    return out;
  };
  const Tensor names = Tensor::from(ids, {batch, longest}),
               packed_names = Tensor::from(packed_ids, {static_cast<std::int64_t>(tokens.size())});
  for (const bool causal : {false, true}) {
    const Args args{.causal = causal, .dropout = 0.25, .key = 3};
    const Tensor padded_dy = convert(uniform(q.shape(), -1, 1, 4), DType::f32);
    Tensor dy = padded_dy.clone();
    for (std::size_t i = 0; i < real.size(); ++i)
      if (real[i] == 0) std::fill_n(dy.data<float>() + static_cast<std::int64_t>(i) * heads * width, heads * width, 0.0f);
    const Result padded =
        run({q, k, v}, args, {.key_padding = Tensor::from(real, {batch, longest}), .query_ids = names, .key_ids = names}, dy);
    const Result packed = run({pack(q), pack(k), pack(v)}, args,
                              {.cu_seqlens = Tensor::from(offsets, {4}), .query_ids = packed_names, .key_ids = packed_names}, pack(dy));
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

// Few queries to many keys pass over keys and values as they lie, all others over packed ones: the same numbers either way.
TEST(Attention, AQueryAloneGetsWhatItGetsAmongOthers) {
  struct Case {
    std::int64_t keys, key_heads, width;
  };
  const std::int64_t batch = 3, queries = 40, heads = 6;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto& [keys, key_heads, width] :
         {Case{301, 6, 64}, Case{301, 2, 64}, Case{301, 1, 20}, Case{301, 3, 7}, Case{301, 6, 100}, Case{801, 1, 20}, Case{512, 2, 33}}) {
      SCOPED_TRACE(::testing::Message() << name_of(dtype) << ", " << keys << " keys, " << key_heads << " key heads, width " << width);
      const Tensor q = convert(uniform({batch, queries, heads, width}, -2, 2, 1), dtype),
                   k = convert(uniform({batch, keys, key_heads, width}, -2, 2, 2), dtype), v = convert(uniform(k.shape(), -2, 2, 3), dtype),
                   bias = convert(uniform({heads, queries, keys}, -1, 1, 5), dtype);
      const Tensor ids =
          Tensor::from<std::int64_t>(std::vector<std::int64_t>(static_cast<std::size_t>(batch * queries), 3), {batch, queries});
      Tensor key_ids({batch, keys}, DType::i64);
      for (std::int64_t j = 0; j < key_ids.numel(); ++j) key_ids.data<std::int64_t>()[j] = 7 * j;
      const Tensor real = padding(batch, keys);
      const std::int64_t offset = keys - queries;
      const Tensor all = scaled_dot_product_attention(q, k, v, {.causal = true, .query_offset = offset, .dropout = 0.1, .key = 8},
                                                      {.bias = bias, .key_padding = real, .query_ids = ids, .key_ids = key_ids});
      for (const std::int64_t few : {1, 2, 3}) {
        for (std::int64_t i = 0; i + few <= queries; i += 13) {
          const auto part = [&](const Tensor& t, int axis) { return t.view(t.layout().slice(axis, i, few)); };
          const Tensor y =
              scaled_dot_product_attention(part(q, 1), k, v, {.causal = true, .query_offset = offset + i, .dropout = 0.1, .key = 8},
                                           {.bias = part(bias, 1), .key_padding = real, .query_ids = part(ids, 1), .key_ids = key_ids});
          expect_near(y, part(all, 1), dtype == DType::f32 ? 1e-6 : 1e-2, "queries from " + std::to_string(i));
        }
      }
    }
  }
}

// The result of a call does not depend on how many threads work, the sums of a bias's gradient least of all.
TEST(Attention, ThreadsChangeNothing) {
  const std::int64_t images = 6, windows = 4, tokens = 30, heads = 4, width = 16;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    std::vector<Tensor> in;
    for (std::uint64_t i = 1; i <= 3; ++i) in.push_back(convert(uniform({images * windows, tokens, heads, width}, -1, 1, i), dtype));
    const Tensor dy = convert(uniform(in[0].shape(), -1, 1, 4), dtype);
    for (const Shape& shape :
         {Shape{windows, heads, tokens, tokens}, Shape{windows, 1, tokens, tokens}, Shape{heads, tokens, tokens}, Shape{tokens, tokens},
          Shape{heads, 1, tokens}, Shape{heads, tokens, 1}, Shape{1}, Shape{images * windows, heads, tokens, tokens}}) {
      const AttentionInputs extra{.bias = convert(uniform(shape, -1, 1, 5), dtype)};
      const int threads = omp_get_max_threads();
      std::vector<Result> results;
      for (const int n : {1, 2, 3, 3}) {
        omp_set_num_threads(n);
        results.push_back(run(in, {.dropout = 0.1, .key = 3}, extra, dy));
      }
      omp_set_num_threads(threads);
      for (const Result& r : results) {
        EXPECT_EQ(r.y.to_vector(), results[0].y.to_vector());
        for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(r.gradients[i].to_vector(), results[0].gradients[i].to_vector()) << "gradient " << i;
      }
      const kernels::ScopedBackend reference(kernels::Backend::reference);
      const Result expected = run(in, {.dropout = 0.1, .key = 3}, extra, dy);
      expect_near(results[0].gradients[3], expected.gradients[3], dtype == DType::f32 ? 1e-5 : 1e-2, "gradient of the bias");
    }
  }
}

// Blocks of keys are threads' work too, where a few queries attend to many keys. Neither threads nor the rest of the batch change a bit.
TEST(Attention, FewQueriesGetTheSameBitsFromAnyThreadsAndInAnyBatch) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto& [heads, key_heads] : {std::pair<std::int64_t, std::int64_t>{8, 1}, {8, 2}, {3, 3}}) {
      const std::int64_t batch = 3, queries = 2, keys = 1337, width = 40;
      const Tensor q = convert(uniform({batch, queries, heads, width}, -2, 2, 1), dtype),
                   k = convert(uniform({batch, keys, key_heads, width}, -2, 2, 2), dtype), v = convert(uniform(k.shape(), -2, 2, 3), dtype);
      const Args args{.causal = true, .query_offset = keys - queries};
      const int threads = omp_get_max_threads();
      std::vector<std::vector<double>> results;
      for (const int n : {1, 2, 3, 5, 5}) {
        omp_set_num_threads(n);
        results.push_back(scaled_dot_product_attention(q, k, v, args).to_vector());
      }
      omp_set_num_threads(threads);
      for (const auto& r : results) EXPECT_EQ(r, results[0]);
      const auto last = [](const Tensor& t) { return t.view(t.layout().slice(0, 2, 1)); };
      const std::vector<double> alone = scaled_dot_product_attention(last(q), last(k), last(v), args).to_vector();
      EXPECT_EQ(alone, std::vector<double>(results[0].end() - q.numel() / batch, results[0].end()));
    }
  }
}

// Blocks of keys that are all removed have no share in the result, whatever their scores are; a row without any key is 0.
TEST(Attention, BlocksWithoutKeysChangeNothing) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::int64_t keys = 1300, real = 270;
    const Tensor q = convert(uniform({2, 1, 4, 16}, -2, 2, 1), dtype), k = convert(uniform({2, keys, 1, 16}, -2, 2, 2), dtype),
                 v = convert(uniform(k.shape(), -2, 2, 3), dtype);
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{500}, keys - real}) {
      Tensor padding = Tensor::zeros({2, keys}, DType::u8);
      for (std::int64_t j = first; j < first + real; ++j) padding.data<std::uint8_t>()[j] = 1;  // the second sequence has no key at all
      const auto kept = [&](const Tensor& t) { return t.view(t.layout().slice(0, 0, 1).slice(1, first, real)); };
      const Tensor y = scaled_dot_product_attention(q, k, v, {}, {.key_padding = padding}),
                   expected = scaled_dot_product_attention(q.view(q.layout().slice(0, 0, 1)), kept(k), kept(v));
      expect_near(y.view(y.layout().slice(0, 0, 1)), expected, dtype == DType::f32 ? 1e-6 : 1e-2, "kept");
      for (const double x : y.view(y.layout().slice(0, 1, 1)).to_vector()) EXPECT_EQ(x, 0.0);
    }
  }
}

// What backward computes again from the logarithm of the sum: with values of 1, dv is the sum of probabilities over queries.
TEST(Attention, BlocksOfKeysLeaveTheSumThatBackwardNeeds) {
  const std::int64_t keys = 1100;
  const Tensor q = convert(uniform({1, 1, 2, 8}, -3, 3, 1), DType::f32), k = convert(uniform({1, keys, 1, 8}, -3, 3, 2), DType::f32),
               one = Tensor::full({1, 1, 2, 8}, 1.0, DType::f32);
  const Result r = run({q, k, k}, {}, {}, one);
  double sum = 0;
  for (const double x : r.gradients[2].to_vector()) sum += x;
  EXPECT_NEAR(sum, 2 * 8, 1e-4);
}

// Its gradient is as large as the bias, however many windows it is for.
TEST(Attention, GradientOfARepeatedBiasTakesNoMoreMemoryThanTheBias) {
  const std::int64_t images = 64, tokens = 49, heads = 2;
  const Tensor x = make_leaf(convert(uniform({images, tokens, heads, 4}), DType::f32)),
               bias = make_leaf(Tensor::zeros({heads, tokens, tokens}, DType::f32));
  const Tensor dy = Tensor::full({images, tokens, heads, 4}, 1.0, DType::f32);
  const auto peak_of = [&](const AttentionInputs& extra) {
    Tape tape;
    const Tensor y = scaled_dot_product_attention(x, x, x, {}, extra);
    reset_peak_memory();
    const auto before = memory_stats().live;
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
    return memory_stats().peak_live - before;
  };
  const auto without = peak_of({}), with = peak_of({.bias = bias});
  const auto scores = static_cast<std::size_t>(images * heads * tokens * tokens) * sizeof(float);
  EXPECT_LT(with, without + scores / 2);
}

TEST(Attention, RepeatedMaskAndBiasAreThoseOfTheWindow) {
  const Tensor q = uniform({6, 5, 2, 4}, -1, 1, 1), mask = Tensor::zeros({3, 1, 5, 5}, DType::u8), bias = uniform({3, 2, 5, 5}, -1, 1, 2);
  for (std::int64_t i = 0; i < mask.numel(); ++i) mask.data<std::uint8_t>()[i] = i % 3 != 1;
  const auto twice = [](const Tensor& t) { return concat({t, t}, 0); };
  expect_near(scaled_dot_product_attention(q, q, q, {}, {.mask = mask, .bias = bias}),
              scaled_dot_product_attention(q, q, q, {}, {.mask = twice(mask), .bias = twice(bias)}), 0, "output");
}

TEST(Attention, KeysOfAnyStridesServeFewQueries) {
  const Tensor q = convert(uniform({2, 2, 4, 24}, -1, 1, 1), DType::f32), k = convert(uniform({2, 290, 2, 24}, -1, 1, 2), DType::f32);
  const auto strided = [](const Tensor& t) {  // every second element of rows twice as long
    const Tensor wide = Tensor::zeros(t.shape().with(-1, 2 * t.size(-1)), t.dtype());
    for (std::int64_t i = 0; i < t.numel(); ++i) wide.data<float>()[2 * i] = t.data<const float>()[i];
    return wide.view(wide.layout().slice(3, 0, t.size(-1), 2));
  };
  const std::array<int, 4> heads_first{0, 2, 1, 3};
  const Tensor by_head = k.view(k.layout().permute(heads_first)).contiguous(), turned = by_head.view(by_head.layout().permute(heads_first));
  const Tensor expected = scaled_dot_product_attention(q, k, k);
  expect_near(scaled_dot_product_attention(strided(q), strided(k), strided(k)), expected, 1e-6, "strided");
  EXPECT_EQ(scaled_dot_product_attention(q, turned, turned).to_vector(), expected.to_vector());
}

TEST(Attention, ProbabilitiesTakeMaskBiasAndOffset) {
  const Tensor q = uniform({2, 3, 2, 4}, -1, 1, 1), k = uniform({2, 5, 2, 4}, -1, 1, 2), bias = uniform({2, 3, 5}, -1, 1, 4);
  const Tensor mask = Tensor::from<std::uint8_t>({1, 1, 0, 1, 1}, {5});
  const Tensor identity = Tensor::zeros({2, 5, 2, 5}, DType::f64);
  for (std::int64_t i = 0; i < 20; ++i) identity.data<double>()[i * 5 + i / 2 % 5] = 1;  // of key j: unit vector j
  const Tensor weights =
      attention_probabilities(q, k, {.causal = true, .query_offset = 2}, {.mask = mask, .bias = bias});  // [B, H, Tq, Tk]
  const Tensor wide_k = concat({k, Tensor::zeros({2, 5, 2, 1}, DType::f64)}, 3),
               wide_q = concat({q, Tensor::zeros({2, 3, 2, 1}, DType::f64)}, 3);
  const Tensor y = scaled_dot_product_attention(wide_q, wide_k, identity, {.scale = 0.5, .causal = true, .query_offset = 2},
                                                {.mask = mask, .bias = bias});
  const std::array<int, 4> heads_first{0, 2, 1, 3};
  expect_near(weights, y.view(y.layout().permute(heads_first)), 1e-14, "weights");
  EXPECT_THROW(attention_probabilities(q, k, {}, {.cu_seqlens = Tensor::zeros({1}, DType::i64)}), ShapeError);
}

TEST(Attention, ReadsViewsOfACommonProjection) {
  const Tensor qkv = convert(uniform({2, 40, 3, 2, 8}), DType::f32);  // [B, T, 3, H, D]
  const auto part = [&](std::int64_t i) { return qkv.view(*qkv.layout().slice(2, i, 1).reshape({2, 40, 2, 8})); };
  const Tensor expected = scaled_dot_product_attention(part(0).contiguous(), part(1).contiguous(), part(2).contiguous(), {.causal = true});
  EXPECT_EQ(scaled_dot_product_attention(part(0), part(1), part(2), {.causal = true}).to_vector(), expected.to_vector());
}

}  // namespace
}  // namespace capstan
