// Multi-head attention against PyTorch, against numbers computed by hand, and in its corner cases.
#include "nn/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor flags(const std::vector<std::uint8_t>& values, const Shape& shape) { return Tensor::from(values, shape); }

TEST(MultiHeadAttention, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const std::string name : {"plain", "boolean_mask", "float_mask", "key_padding", "boolean_mask_key_padding", "no_bias"}) {
      SCOPED_TRACE(name);
      const Golden golden("attention/" + name, dtype);
      AttentionMask mask;
      if (name.find("boolean_mask") != std::string::npos) mask.mask = golden.mask("mask");
      if (name == "float_mask") mask.bias = golden.mask("mask");
      if (name.find("key_padding") != std::string::npos) mask.keys = golden.mask("key");
      ParameterStore store(1, dtype);
      const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2, .bias = name != "no_bias"});
      const Tensor &q = golden.input("query"), &k = golden.input("key"), &v = golden.input("value");
      golden.expect(store, tolerance, [&] { return layer(q, k, v, mask, {}); });
      golden.expect(store, tolerance, [&] { return layer.with_weights(q, k, v, mask, {}).output; });
      if (name == "no_bias") continue;
      expect_close(layer.with_weights(q, k, v, mask, {}).weights.to_vector(), golden.values("weights"), tolerance, "mean weights");
      expect_close(layer.with_weights(q, k, v, mask, {}, false).weights.to_vector(), golden.values("weights_per_head"), tolerance,
                   "weights");
    }
  });
}

TEST(MultiHeadAttention, TakesKeysAndValuesOfOtherWidths) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("attention/kdim_vdim", dtype);
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 3, .key_width = 5, .value_width = 4});
    golden.expect(store, tolerance, [&] { return layer(golden.input("query"), golden.input("key"), golden.input("value"), {}, {}); });
  });
}

TEST(MultiHeadAttention, LooksBackOnlyIfCausal) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("attention/causal_self", dtype);
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2});
    const Tensor& x = golden.input("query");
    golden.expect(store, tolerance, [&] { return layer(x, x, x, {.causal = true}, {}); });
    golden.expect(store, tolerance, [&] { return layer.with_weights(x, x, x, {.causal = true}, {}).output; });
  });
}

// Width 4, 2 heads, parameters and inputs by formula.
class Formula : public ::testing::Test {
 protected:
  Formula() : layer_(store_.root(), {.width = 4, .heads = 2}) { fill_packed_attention(store_, "", 0, 4); }
  void expect(const AttentionMask& mask, const std::vector<double>& output, const std::vector<double>& weights) {
    const auto both = layer_.with_weights(q_, k_, v_, mask, {});
    expect_rounded(layer_(q_, k_, v_, mask, {}).to_vector(), output, 6, "output");
    expect_rounded(both.output.to_vector(), output, 6, "output with weights");
    if (!weights.empty()) expect_rounded(both.weights.to_vector(), weights, 6, "weights");
  }
  ParameterStore store_{1, DType::f64};
  MultiHeadAttention layer_;
  Tensor q_ = cosine({1, 2, 4}, 0), k_ = cosine({1, 3, 4}, 1), v_ = cosine({1, 3, 4}, 2);
};

TEST_F(Formula, Plain) {
  expect({}, {.221697, .1269, .216302, -.073285, .218033, .131806, .210721, -.067674},
         {.321996, .337766, .340239, .360537, .282727, .356735});
  expect_rounded(layer_.with_weights(q_, k_, v_, {}, {}, false).weights.to_vector(),
                 {.314716, .348948, .336336, .384306, .269347, .346347, .329275, .326584, .344141, .336768, .296108, .367124}, 6,
                 "per head");
}
TEST_F(Formula, BooleanMask) {
  expect({.mask = flags({1, 0, 1, 1, 1, 0}, {2, 3})}, {.219713, .132611, .207524, -.062455, .229393, .130732, .201385, -.049006},
         {.486179, 0, .513821, .56003, .43997, 0});
}
TEST_F(Formula, Bias) {
  expect({.bias = Tensor::from({0.0, -1.0, .5, 0.0, 0.0, 2.0}, {2, 3})},
         {.216166, .130038, .215918, -.0757, .205223, .131291, .224502, -.093128}, {.31965, .123418, .556932, .110138, .086171, .803691});
}
TEST_F(Formula, KeyPadding) {
  expect({.keys = flags({1, 1, 0}, {1, 3})}, {.233306, .124467, .209277, -.057614, .229393, .130732, .201385, -.049006}, {});
}
TEST_F(Formula, MasksOfEveryKindAddUp) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const Tensor minus = Tensor::from({0.0, kNever, 0.0, 0.0, 0.0, kNever}, {2, 3});
  const Tensor no_mask = Tensor::zeros({2, 3}, DType::f64);
  const AttentionMask boolean{.mask = flags({1, 0, 1, 1, 1, 0}, {2, 3}), .keys = flags({1, 1, 0}, {1, 3})};
  const AttentionMask added{.bias = minus, .keys = flags({1, 1, 0}, {1, 3})};
  const AttentionMask single{.mask = flags({1, 0, 0, 1, 1, 0}, {2, 3})};
  const std::vector<double> expected = layer_(q_, k_, v_, single, {}).to_vector();
  expect(boolean, expected, {});
  expect(added, expected, {});
  const AttentionMask causal_zero{.bias = no_mask, .keys = flags({1, 1, 0}, {1, 3}), .causal = true};
  expect(causal_zero, expected, {});
}
TEST_F(Formula, AQueryThatMayAttendToNothingGetsTheOutputBias) {
  const std::vector<double> y = layer_(q_, k_, v_, {.mask = flags({0, 0, 0, 1, 1, 1}, {2, 3})}, {}).to_vector();
  expect_close({y.begin(), y.begin() + 4}, layer_.bias().value().to_vector(), 1e-12, "nothing");
}

TEST(MultiHeadAttention, ReadsKeysAndValuesOfOtherWidthsByFormula) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .key_width = 3, .value_width = 5});
  set_values(store.find("query/weight").value(), sines(0, 0, 16));
  set_values(store.find("key/weight").value(), sines(1, 0, 12));
  set_values(store.find("value/weight").value(), sines(2, 0, 20));
  fill_packed_biases(store, "", 3, 4);
  set_values(store.find("output/weight").value(), sines(4, 0, 16));
  set_values(store.find("output/bias").value(), sines(5, 0, 4));
  expect_rounded(layer(cosine({1, 2, 4}, 0), cosine({1, 3, 3}, 1), cosine({1, 3, 5}, 2), {}, {}).to_vector(),
                 {.251944, .077395, .111396, -.190954, .255238, .074484, .113588, -.192174}, 6, "output");
}

TEST(MultiHeadAttention, DropsProbabilitiesInTrainingOnly) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .dropout = .5});
  const Tensor x = cosine({2, 5, 4}, 0);
  const auto run = [&](const nn::Run& context) { return layer(x, x, x, {}, context).to_vector(); };
  const std::vector<double> first = run({.training = true, .seed = 3, .step = 4});
  EXPECT_EQ(run({.training = true, .seed = 3, .step = 4}), first);
  EXPECT_NE(run({.training = true, .seed = 3, .step = 5}), first);
  EXPECT_NE(run({}), first);
  EXPECT_EQ(run({.step = 5}), run({}));
}

Tensor counted(std::int64_t first, const Shape& shape) {
  Tensor t(shape, DType::i64);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<std::int64_t>()[i] = first + i;
  return t;
}

// Whether a probability of cross-attention is dropped depends on the numbers of its query and its key alone: a sample comes out the same
// whatever its batch, however many keys pad it, and wherever its queries stand among others.
TEST(MultiHeadAttention, CrossAttentionDropsByTheNumbersOfQueryAndKey) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .dropout = .4});
  const std::int64_t batch = 3, queries = 4, keys = 6;
  const Tensor q = cosine({batch, queries, 4}, 0), k = cosine({batch, keys, 4}, 1), query_ids = counted(100, {batch, queries}),
               key_ids = counted(0, {batch, keys});
  const auto run_with = [](const Tensor& ids) { return nn::Run{.training = true, .seed = 2, .token_ids = ids}; };
  const auto sample = [](const Tensor& t, std::int64_t b) { return t.view(t.layout().slice(0, b, 1)); };
  const Tensor together = layer(q, k, k, {.key_ids = key_ids}, run_with(query_ids));
  EXPECT_NE(together.to_vector(), layer(q, k, k, {.key_ids = counted(1, {batch, keys})}, run_with(query_ids)).to_vector());
  EXPECT_NE(together.to_vector(), layer(q, k, k, {.key_ids = key_ids}, run_with(counted(101, {batch, queries}))).to_vector());
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::vector<double> expected = sample(together, b).to_vector();
    expect_close(
        layer(sample(q, b), sample(k, b), sample(k, b), {.key_ids = sample(key_ids, b)}, run_with(sample(query_ids, b))).to_vector(),
        expected, 1e-12, "micro-batch");
    // Two more keys in front, which are padding.
    const Tensor padded = concat({cosine({1, 2, 4}, 9), sample(k, b)}, 1), padded_ids = Tensor::zeros({1, keys + 2}, DType::i64);
    std::copy_n(key_ids.data<std::int64_t>() + b * keys, keys, padded_ids.data<std::int64_t>() + 2);
    const AttentionMask mask{.keys = flags({0, 0, 1, 1, 1, 1, 1, 1}, {1, keys + 2}), .key_ids = padded_ids};
    expect_close(layer(sample(q, b), padded, padded, mask, run_with(sample(query_ids, b))).to_vector(), expected, 1e-12, "padded");
    // One query alone.
    const Tensor last = sample(q, b).view(sample(q, b).layout().slice(1, queries - 1, 1)),
                 id = counted(100 + b * queries + queries - 1, {1});
    expect_close(layer(last, sample(k, b), sample(k, b), {.key_ids = sample(key_ids, b)}, run_with(id)).to_vector(),
                 {expected.end() - 4, expected.end()}, 1e-12, "one query");
  }
}

// Packed and padded cross-attention: sequences of equally many queries and keys, as a packed batch has them.
TEST(MultiHeadAttention, PackedDropsWhatPaddedDrops) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .dropout = .4});
  const Tensor q = cosine({2, 3, 4}, 0), k = cosine({2, 3, 4}, 1);  // of lengths 3 and 2
  const Tensor query_ids = counted(10, {2, 3}), key_ids = counted(70, {2, 3});
  const nn::Run run{.training = true, .seed = 2, .token_ids = query_ids};
  const std::vector<double> padded = layer(q, k, k, {.keys = flags({1, 1, 1, 1, 1, 0}, {2, 3}), .key_ids = key_ids}, run).to_vector();
  const auto pack = [](const Tensor& t) { return t.view(*t.layout().reshape({6, 4})).view(Layout(Shape{5, 4})); };
  const nn::Run packed_run{.training = true, .seed = 2, .token_ids = counted(10, {5})};
  const AttentionMask packed{.cu_seqlens = Tensor::from<std::int64_t>({0, 3, 5}, {3}), .key_ids = counted(70, {5})};
  expect_close(layer(pack(q), pack(k), pack(k), packed, packed_run).to_vector(), {padded.begin(), padded.begin() + 20}, 1e-12, "packed");
}

TEST(MultiHeadAttention, RefusesNumbersThatDoNotFit) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .dropout = .4});
  const Tensor x = cosine({2, 3, 4}, 0), memory = cosine({2, 5, 4}, 0);
  const nn::Run run{.training = true, .token_ids = counted(0, {6})};
  EXPECT_EQ(
      message_of<ShapeError>([&] { layer(x, memory, memory, {}, run); }),
      "attention: dropout needs key_ids beside token_ids where query and key are not the same tensor: query f64[2, 3, 2, 2], key f64[2, "
      "5, 2, 2]");
  const Tensor as_long = cosine({2, 3, 4}, 1);  // the length is chance: the numbers of the queries do not name these keys
  EXPECT_NE(message_of<ShapeError>([&] { layer(x, as_long, as_long, {}, run); }).find("needs key_ids"), std::string::npos);
  EXPECT_EQ(message_of<ShapeError>([&] { layer(x, x.view(x.layout()), x, {}, run); }), "nothing was thrown");
  EXPECT_EQ(message_of<ShapeError>([&] { layer(x, x, x, {}, {.training = true, .token_ids = counted(0, {2})}); }),
            "attention: dropout needs one number for each query: query tokens [2, 3], ids i64[2]");
  EXPECT_EQ(message_of<ShapeError>([&] { layer(x, memory, memory, {.key_ids = counted(0, {6})}, run); }),
            "attention: dropout needs one number for each key: key tokens [2, 5], ids i64[6]");
  EXPECT_EQ(message_of<ShapeError>([&] { layer(x, memory, memory, {}, {.token_ids = counted(0, {2})}); }), "nothing was thrown")
      << "where nothing is dropped out";
}

TEST(MultiHeadAttention, HasHeadsOfAnyWidthAndFewerOfKeysAndValues) {
  const RelativePositions relative = RelativePositions::key;
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention layer(store.root(),
                                 {.width = 5, .heads = 4, .key_value_heads = 2, .head_width = 3, .relative = relative, .max_length = 6});
  EXPECT_EQ(store.find("query/weight").value().shape(), (Shape{12, 5}));
  EXPECT_EQ(store.find("key/weight").value().shape(), (Shape{6, 5}));
  EXPECT_EQ(store.find("value/bias").value().shape(), (Shape{6}));
  EXPECT_EQ(store.find("output/weight").value().shape(), (Shape{5, 12}));
  // The same as with the heads of keys and values repeated.
  ParameterStore repeated(1, DType::f64);
  const MultiHeadAttention wide(repeated.root(), {.width = 5, .heads = 4, .head_width = 3, .relative = relative, .max_length = 6});
  for (const Parameter& p : store.parameters()) {
    const Tensor to = repeated.find(p.name()).write();
    const std::int64_t rows = to.numel() / to.size(0);
    for (std::int64_t i = 0; i < to.size(0); ++i) {
      const std::int64_t head = i / 3 * p.value().size(0) / to.size(0), from = p.value().size(0) == to.size(0) ? i : head * 3 + i % 3;
      std::copy_n(p.value().data<double>() + from * rows, rows, to.data<double>() + i * rows);
    }
  }
  const Tensor x = cosine({2, 4, 5}, 0);
  const auto few = layer.with_weights(x, x, x, {.causal = true}, {}), many = wide.with_weights(x, x, x, {.causal = true}, {});
  expect_close(few.output.to_vector(), many.output.to_vector(), 1e-12, "output");
  expect_close(few.weights.to_vector(), many.weights.to_vector(), 1e-12, "weights");
}

TEST(MultiHeadAttention, RefusesHeadsThatDoNotDivideTheWidth) {
  ParameterStore store;
  EXPECT_THROW(MultiHeadAttention(store.root(), {.width = 6, .heads = 4}), ConfigError);
  EXPECT_THROW(MultiHeadAttention(store.root() / "b", {.width = 6, .heads = 0}), ConfigError);
  EXPECT_THROW(MultiHeadAttention(store.root() / "c", {.width = 8, .heads = 4, .key_value_heads = 3}), ConfigError);
  EXPECT_THROW(MultiHeadAttention(store.root() / "d", {.width = 8, .heads = 2, .key_value_heads = 4}), ConfigError);
  EXPECT_THROW(
      MultiHeadAttention(store.root() / "e",
                         {.width = 8, .heads = 2, .key_value_heads = 1, .relative = RelativePositions::key_query, .max_length = 3}),
      ConfigError);
}

}  // namespace
}  // namespace capstan::nn
