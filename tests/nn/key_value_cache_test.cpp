// The cache of keys and values, and decoding with it.
#include "nn/key_value_cache.h"

#include <gtest/gtest.h>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/attention.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"

namespace capstan::nn {
namespace {

/// [B, T, H, D] by formula.
Tensor numbers(const Shape& shape, double k) { return cosine(shape, k); }

std::vector<double> rows_of(const Tensor& t, std::int64_t first, std::int64_t n) {
  return t.view(t.layout().slice(1, first, n)).to_vector();
}

TEST(KeyValueCache, HoldsWhatWasAppendedHoweverItGrows) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const Tensor keys = cast(numbers({2, 300, 3, 4}, 0), dtype), values = cast(numbers({2, 300, 3, 4}, 1), dtype);
    for (const std::int64_t capacity : {0, 10, 500}) {
      KeyValueCache cache(capacity);
      const auto part = [](const Tensor& t, std::int64_t first, std::int64_t n) { return t.view(t.layout().slice(1, first, n)); };
      EXPECT_EQ(cache.batch(), 0);
      Tensor early;
      for (std::int64_t at = 0, n = 1; at < 300; at += n, n = std::min<std::int64_t>(n + 3, 300 - at)) {
        cache.append(part(keys, at, n), part(values, at, n));
        if (at == 0) early = cache.keys();
      }
      EXPECT_EQ(cache.length(), 300);
      EXPECT_EQ(cache.batch(), 2);
      EXPECT_EQ(cache.keys().spec(), keys.spec());
      EXPECT_EQ(cache.keys().to_vector(), keys.to_vector());
      EXPECT_EQ(cache.values().to_vector(), values.to_vector());
      EXPECT_EQ(early.to_vector(), rows_of(keys, 0, 1)) << "an earlier view changed";
      cache.truncate(7);
      EXPECT_EQ(cache.keys().to_vector(), rows_of(keys, 0, 7));
      cache.append(part(keys, 20, 2), part(values, 20, 2));
      EXPECT_EQ(cache.length(), 9);
      EXPECT_EQ(rows_of(cache.values(), 7, 2), rows_of(values, 20, 2));
      cache.reset();
      EXPECT_EQ(cache.length(), 0);
      cache.append(numbers({5, 1, 1, 2}, 3), numbers({5, 1, 1, 2}, 4));
      EXPECT_EQ(cache.batch(), 5);
    }
  }
}

TEST(KeyValueCache, ReordersToMoreAndFewerSequences) {
  const Tensor keys = numbers({2, 3, 2, 2}, 0), values = numbers({2, 3, 2, 2}, 1);
  KeyValueCache cache;
  cache.append(keys, values);
  cache.reorder(std::vector<std::int64_t>{1, 0, 1});
  EXPECT_EQ(cache.batch(), 3);
  EXPECT_EQ(cache.length(), 3);
  const auto one = [](const Tensor& t, std::int64_t b) { return t.view(t.layout().slice(0, b, 1)).to_vector(); };
  EXPECT_EQ(one(cache.keys(), 0), one(keys, 1));
  EXPECT_EQ(one(cache.keys(), 1), one(keys, 0));
  EXPECT_EQ(one(cache.values(), 2), one(values, 1));
  cache.reorder(std::vector<std::int64_t>{1});
  EXPECT_EQ(cache.values().to_vector(), one(values, 0));
}

TEST(KeyValueCache, RemembersWhereThereIsPadding) {
  const auto flags = [](const std::vector<std::uint8_t>& values, std::int64_t batch) {
    return Tensor::from(values, {batch, static_cast<std::int64_t>(values.size()) / batch});
  };
  KeyValueCache cache;
  const auto append = [&](std::int64_t batch, std::int64_t tokens, const Tensor& real) {
    cache.append(numbers({batch, tokens, 2, 2}, 0), numbers({batch, tokens, 2, 2}, 1), real);
  };
  append(2, 2, {});
  EXPECT_FALSE(cache.real().defined());
  append(2, 2, flags({0, 1, 1, 0}, 2));
  EXPECT_EQ(cache.real().shape(), (Shape{2, 4}));
  EXPECT_EQ(cache.real().to_vector(), (std::vector<double>{1, 1, 0, 1, 1, 1, 1, 0}));
  KeyValueCache copy = cache;
  append(2, 1, {});
  cache.reorder(std::vector<std::int64_t>{1, 1, 0});
  EXPECT_EQ(cache.real().to_vector(), (std::vector<double>{1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1}));
  cache.truncate(3);
  append(3, 100, {});  // more than there was room for
  EXPECT_EQ(cache.real().shape(), (Shape{3, 103}));
  double padding = 0;
  for (const double x : cache.real().to_vector()) padding += 1 - x;
  EXPECT_EQ(padding, 1);
  EXPECT_EQ(copy.real().to_vector(), (std::vector<double>{1, 1, 0, 1, 1, 1, 1, 0}));
  EXPECT_NE(message_of<ShapeError>([&] { append(3, 1, flags({1, 1}, 1)); }).find("keys f64[3, 1, 2, 2], real u8[1, 2]"), std::string::npos);
  cache.reset();
  append(1, 1, {});
  EXPECT_FALSE(cache.real().defined());
}

TEST(KeyValueCache, CopiesHaveMemoryOfTheirOwn) {
  KeyValueCache first;
  first.append(numbers({1, 2, 1, 2}, 0), numbers({1, 2, 1, 2}, 1));
  KeyValueCache second = first, third;
  third = first;
  first.append(numbers({1, 1, 1, 2}, 2), numbers({1, 1, 1, 2}, 3));
  second.append(numbers({1, 1, 1, 2}, 4), numbers({1, 1, 1, 2}, 5));
  EXPECT_EQ(third.length(), 2);
  EXPECT_EQ(rows_of(first.keys(), 2, 1), numbers({1, 1, 1, 2}, 2).to_vector());
  EXPECT_EQ(rows_of(second.keys(), 2, 1), numbers({1, 1, 1, 2}, 4).to_vector());
}

TEST(KeyValueCache, SaysWhatDoesNotFit) {
  KeyValueCache cache;
  EXPECT_NE(message_of<ShapeError>([&] { cache.keys(); }).find("holds nothing before the first append"), std::string::npos);
  const Tensor x = numbers({1, 2, 1, 2}, 0);
  EXPECT_NE(message_of<ShapeError>([&] { cache.append(x, numbers({1, 3, 1, 2}, 0)); }).find("values f64[1, 3, 1, 2]"), std::string::npos);
  cache.append(x, x);
  EXPECT_NE(message_of<ShapeError>([&] {
              cache.append(numbers({2, 1, 1, 2}, 0), numbers({2, 1, 1, 2}, 0));
            }).find("held f64[1, 2, 1, 2], keys f64[2, 1, 1, 2]"),
            std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] { cache.append(make_leaf(x), x); }).find("decode in the scope of a NoGrad"), std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] {
              cache.reorder(std::vector<std::int64_t>{0, 1});
            }).find("position 1 holds 1, sequences 1"),
            std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] { cache.truncate(3); }).find("asked 3, held 2"), std::string::npos);
  EXPECT_EQ(cache.length(), 2);
}

struct Decoding {
  std::int64_t heads, key_value_heads, head_width, width;
};

void expect_relative(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  const std::vector<double> a = actual.to_vector(), e = expected.to_vector();
  ASSERT_EQ(a.size(), e.size()) << what;
  double largest = 0;
  for (const double v : e) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], e[i], tolerance * largest) << what << ", element " << i;
}

TEST(CachedAttention, EqualsTheWholeSequenceAtOnce) {
  const std::int64_t batch = 3, tokens = 300;
  for (const DType dtype : {DType::f64, DType::f32}) {
    for (const Decoding& d : {Decoding{4, 0, 0, 32}, {4, 2, 0, 32}, {4, 1, 12, 20}, {1, 0, 0, 7}}) {
      ParameterStore store(4, dtype);
      const MultiHeadAttention layer(
          store.root(), {.width = d.width, .heads = d.heads, .key_value_heads = d.key_value_heads, .head_width = d.head_width});
      const Tensor x = cast(cosine({batch, tokens, d.width}, 0), dtype);
      // The second sequence begins with padding, the third has a hole.
      std::vector<std::uint8_t> real(static_cast<std::size_t>(batch * tokens), 1);
      for (std::size_t t = 0; t < 20; ++t)
        real[static_cast<std::size_t>(tokens) + t] = real[static_cast<std::size_t>(2 * tokens + 50) + t] = 0;
      const Tensor keys = Tensor::from(real, {batch, tokens});
      for (const bool padded : {false, true}) {
        const AttentionMask whole{.keys = padded ? keys : Tensor(), .causal = true};
        const Tensor expected = layer(x, x, x, whole, {});
        const NoGrad no_grad;
        KeyValueCache cache;
        std::vector<Tensor> parts;
        for (const std::int64_t count : {100, 1, 1, 3, 2, 9, 1, 150, 1, 2, 5, 1, 24}) {
          const std::int64_t first = cache.length();
          const Tensor next = x.view(x.layout().slice(1, first, count));
          parts.push_back(layer.step(next, cache, {.keys = padded ? keys.view(keys.layout().slice(1, first, count)) : Tensor()}, {}));
        }
        ASSERT_EQ(cache.length(), tokens);
        expect_relative(concat(parts, 1), expected, dtype == DType::f64 ? 1e-14 : 1e-6, "decoded");
      }
    }
  }
}

TEST(CachedAttention, FollowsBeamsThatAreReordered) {
  ParameterStore store(4, DType::f32);
  const MultiHeadAttention layer(store.root(), {.width = 16, .heads = 4, .key_value_heads = 2});
  const auto token = [&](std::int64_t beam, std::int64_t t) {
    return cast(cosine({1, 1, 16}, static_cast<double>(10 * t + beam)), DType::f32);
  };
  const NoGrad no_grad;
  std::vector<std::vector<Tensor>> beams{{token(0, 0)}};  // the tokens of every beam so far
  KeyValueCache cache;
  layer.step(beams[0][0], cache, {}, {});
  for (const std::vector<std::int64_t>& parents : std::vector<std::vector<std::int64_t>>{{0, 0, 0}, {2, 0, 0}, {1, 1, 2}, {2, 0}}) {
    cache.reorder(parents);
    std::vector<std::vector<Tensor>> next;
    std::vector<Tensor> tokens;
    for (const std::int64_t parent : parents) {
      next.push_back(beams[static_cast<std::size_t>(parent)]);
      tokens.push_back(token(static_cast<std::int64_t>(tokens.size()), static_cast<std::int64_t>(next[0].size())));
      next.back().push_back(tokens.back());
    }
    beams = next;
    const Tensor y = layer.step(concat(tokens, 0), cache, {}, {});
    for (std::size_t b = 0; b < beams.size(); ++b) {
      const Tensor x = concat(beams[b], 1), expected = layer(x, x, x, {.causal = true}, {});
      const auto one = y.view(y.layout().slice(0, static_cast<std::int64_t>(b), 1));
      expect_relative(one, expected.view(expected.layout().slice(1, x.size(1) - 1, 1)), 1e-6, "beam " + std::to_string(b));
    }
  }
}

TEST(CachedAttention, ProjectsTheMemoryOfCrossAttentionOnce) {
  ParameterStore store(4, DType::f32);
  const MultiHeadAttention layer(store.root(), {.width = 16, .heads = 4, .key_width = 6, .value_width = 5});
  const Tensor x = cast(cosine({2, 8, 16}, 0), DType::f32), key = cast(cosine({2, 11, 6}, 1), DType::f32),
               value = cast(cosine({2, 11, 5}, 2), DType::f32);
  const Tensor real = Tensor::from(std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 11});
  const Tensor expected = layer(x, key, value, {.keys = real}, {});
  const NoGrad no_grad;
  KeyValueCache memory(11);
  layer.extend(memory, key, value);
  std::vector<Tensor> parts;
  for (std::int64_t t = 0; t < 8; t += 2) parts.push_back(layer.attend(x.view(x.layout().slice(1, t, 2)), memory, {.keys = real}, {}));
  EXPECT_EQ(memory.length(), 11);
  expect_relative(concat(parts, 1), expected, 1e-6, "decoded");
}

TEST(CachedAttention, SaysWhatDoesNotFit) {
  ParameterStore store(4, DType::f32);
  const MultiHeadAttention layer(store.root(), {.width = 4});
  const Tensor x = Tensor::zeros({1, 2, 4});
  KeyValueCache cache;
  const Tape tape;
  EXPECT_NE(message_of<ShapeError>([&] { layer.step(x, cache, {}, {}); }).find("decode in the scope of a NoGrad"), std::string::npos);
  const NoGrad no_grad;
  EXPECT_EQ(cache.length(), 0);
  layer.extend(cache, Tensor::zeros({1, 1, 4}), Tensor::zeros({1, 1, 4}));
  EXPECT_NE(message_of<ShapeError>([&] { layer.attend(x, cache, {.causal = true}, {}); }).find("query f32[1, 2, 4], tokens in the cache 1"),
            std::string::npos);
}

}  // namespace
}  // namespace capstan::nn
