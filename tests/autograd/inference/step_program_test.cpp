// Stages of a few rows: the fast ones against the plain loops, with any number of threads, and a row alone against the row among others.
#include "autograd/inference/step_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "autograd/inference/top_k.h"
#include "tests/autograd/kernels/threads.h"
#include "tests/message_of.h"

namespace capstan {
namespace {

using kernels::testing_threads::check;
using kernels::testing_threads::random_values;
using kernels::testing_threads::Results;
using ::testing::HasSubstr;

Tensor random(const Shape& shape, std::uint64_t seed, double scale = 1) {
  return Tensor::from(random_values<float>(shape.numel(), seed, -scale, scale), shape);
}

constexpr std::int64_t kWidth = 76, kHeads = 4, kKeyHeads = 2, kHeadWidth = 19, kInner = 211, kCapacity = 24, kVocabulary = 50;

void fill(const Tensor& t, std::uint64_t seed) {
  const std::vector<float> values = random_values<float>(t.numel(), seed);
  if (t.dtype() == DType::bf16) {
    std::ranges::transform(values, t.data<bfloat16>(), [](float v) { return bfloat16(v); });
  } else {
    std::ranges::copy(values, t.data<float>());
  }
}
void fill(const StepCache& c, std::uint64_t seed) {
  fill(c.keys(), seed);
  fill(c.values(), seed + 1);
}

/// Every kind of stage. Nothing is a multiple of a vector or a panel.
struct Program {
  StepProgram program;
  StepCache cache, memory;
  RowBuffer x, normalized, all, context, branch, both, inner;

  Program(WeightStorage storage, Activation activation, DType kept = DType::f32, std::int64_t rows = 128)
      : program(rows), cache(64, kKeyHeads, kCapacity, kHeadWidth, kept), memory(8, kHeads, 9, kHeadWidth, kept) {
    const auto weight = [&](std::int64_t out, std::int64_t in, std::uint64_t seed) {
      return PackedWeight(std::array{random({out - 5, in}, seed, .2), random({5, in}, seed + 100, .2)}, storage);
    };
    const std::int64_t q = kHeads * kHeadWidth, kv = kKeyHeads * kHeadWidth;
    x = program.buffer(kWidth), normalized = program.buffer(kWidth), all = program.buffer(q + 2 * kv), context = program.buffer(q);
    branch = program.buffer(kWidth), both = program.buffer(2 * kInner), inner = program.buffer(kInner);
    fill(memory, 9);
    program.embedding(random({kVocabulary, kWidth}, 1), 3, random({kCapacity, kWidth}, 2), x);
    program.add_norm({}, x, random({kWidth}, 3), random({kWidth}, 4), 1e-5, normalized);
    program.product(normalized, weight(q + 2 * kv, kWidth, 5), random({q + 2 * kv}, 6), {}, all);
    program.causal_attention(all.columns(0, q), all.columns(q, kv), all.columns(q + kv, kv), cache, context);
    program.product(context, weight(kWidth, q, 7), {}, {}, branch);
    program.add_norm(branch, x, random({kWidth}, 8), {}, 1e-5, normalized);
    program.product(normalized, weight(q + 2 * kv, kWidth, 10), {}, {}, all);
    program.rotary(all.columns(0, q + kv), 2, 10, kCapacity);
    program.memory_attention(all.columns(0, q), memory, context);
    program.product(context, weight(kWidth, q, 11), {}, {}, branch);
    program.add_norm(branch, x, random({kWidth}, 15), {}, 1e-5, normalized, NormKind::rms);
    program.product(normalized, weight(2 * kInner, kWidth, 16), {}, {}, both);
    program.gated(both.columns(0, kInner), both.columns(kInner, kInner), activation == Activation::relu ? Gate::swiglu : Gate::geglu,
                  inner);
    program.product(inner, weight(kWidth, kInner, 17), {}, {}, branch);
    program.add_norm(branch, x, {}, {}, 0, {});
    program.product(x, weight(q + 2 * kv, kWidth, 12), {}, {}, all);
    program.line_attention(all.columns(0, q), all.columns(q, kv), all.columns(q + kv, kv), kHeadWidth, context);
    program.product(context, weight(kInner, q, 13), random({kInner}, 14), activation, inner);
  }
};

/// Lines of different lengths and histories, each with some rows.
struct Batch {
  std::vector<std::int64_t> tokens, positions, line_begin{0}, memory_sizes;
  std::vector<std::int32_t> slots, history, memories;

  void line(std::int64_t rows, std::int64_t position, std::int32_t place) {
    for (std::int64_t r = 0; r < rows; ++r) {
      tokens.push_back((7 * place + 3 * r) % kVocabulary);
      positions.push_back(position);
      slots.push_back(static_cast<std::int32_t>(place * 8 + r));
      for (std::int64_t t = 0; t < kCapacity; ++t)
        history.push_back(static_cast<std::int32_t>(place * 8 + (t < position ? (t * r) % rows : r)));
    }
    line_begin.push_back(std::ssize(tokens));
    memories.push_back(place);
    memory_sizes.push_back(place);  // the first line has no memory at all
  }
  StepBatch view() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = slots,
            .history = history,
            .history_row = kCapacity,
            .line_begin = line_begin,
            .memories = memories,
            .memory_sizes = memory_sizes};
  }
};

Batch everything() {
  Batch b;
  for (std::int32_t place = 0; place < 8; ++place) b.line(1 + place, 3 * place, place);
  return b;
}

std::vector<float> results(const RowBuffer& buffer, std::int64_t first, std::int64_t rows) {
  return {buffer.data + first * buffer.width, buffer.data + (first + rows) * buffer.width};
}

TEST(StepProgram, EqualsThePlainLoopsWithAnyNumberOfThreads) {
  for (const WeightStorage storage : {WeightStorage::f32, WeightStorage::bf16, WeightStorage::int8})
    for (const Activation activation : {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::tanh}) {
      if (storage != WeightStorage::f32 && activation != Activation::relu) continue;
      const Program p(storage, activation);
      const Batch batch = everything();
      check(to_text(storage) + " " + to_text(activation), 2e-5, [&](Results& r) {
        fill(p.cache, 20);
        p.program.run(batch.view());
        r.add(results(p.inner, 0, 36)), r.add(results(p.x, 0, 36)), r.add(results(p.context, 0, 36));
        const std::vector<double> values = p.cache.values().to_vector();
        r.add(std::span(values).first(500));
      });
    }
}

// Where a number lies half way between two of bf16, the fast stages and the plain ones may round it to different sides.
TEST(StepProgram, KeepsKeysAndValuesInHalfTheBytes) {
  const Program p(WeightStorage::f32, Activation::relu, DType::bf16);
  EXPECT_EQ(2 * p.cache.bytes(), StepCache(64, kKeyHeads, kCapacity, kHeadWidth).bytes());
  const Batch batch = everything();
  check("bf16", .5 / 128, [&](Results& r) {
    fill(p.cache, 20);
    p.program.run(batch.view());
    r.add(results(p.context, 0, 36)), r.add(p.cache.keys().to_vector()), r.add(p.cache.values().to_vector());
  });
  EXPECT_THAT(message_of<DTypeError>([] { StepCache(1, 1, 1, 1, DType::f64); }), HasSubstr("f32 or bf16: asked for f64"));
}

TEST(StepProgram, ARowDependsOnItsOwnLineAlone) {
  for (const WeightStorage storage : {WeightStorage::f32, WeightStorage::bf16, WeightStorage::int8}) {
    const Program p(storage, Activation::gelu, storage == WeightStorage::bf16 ? DType::bf16 : DType::f32);
    const Batch batch = everything();
    fill(p.cache, 20);
    p.program.run(batch.view());
    const std::vector<float> together = results(p.inner, 0, 36);
    for (std::int32_t place = 0; place < 8; ++place) {
      Batch one;
      one.line(1 + place, 3 * place, place);
      fill(p.cache, 20);
      p.program.run(one.view());
      const std::int64_t first = batch.line_begin[static_cast<std::size_t>(place)];
      EXPECT_EQ(results(p.inner, 0, 1 + place), results({const_cast<float*>(together.data()), kInner, kInner}, first, 1 + place)) << place;
    }
  }
}

// Products alone, of every number of rows up to several blocks and chunks.
TEST(StepProgram, AProductIsTheSameForAnyNumberOfRows) {
  for (const WeightStorage storage : {WeightStorage::f32, WeightStorage::bf16, WeightStorage::int8}) {
    StepProgram program(150);
    const RowBuffer x = program.buffer(700), y = program.buffer(90);
    program.embedding(random({150, 700}, 1), 1, {}, x);
    program.product(x, PackedWeight(std::array{random({90, 700}, 2)}, storage), {}, {}, y);
    std::vector<std::int64_t> tokens(150), zero(150), begin{0, 150};
    std::vector<std::int32_t> slots(150);
    for (std::size_t r = 0; r < 150; ++r) tokens[r] = static_cast<std::int64_t>(r);
    const auto run = [&](std::size_t first, std::size_t rows) {
      begin[1] = static_cast<std::int64_t>(rows);
      program.run({.tokens = std::span(tokens).subspan(first, rows),
                   .positions = std::span(zero).first(rows),
                   .slots = std::span(slots).first(rows),
                   .line_begin = begin});
      return results(y, 0, static_cast<std::int64_t>(rows));
    };
    const std::vector<float> all = run(0, 150);
    for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 13u, 31u, 149u}) {
      const std::vector<float> some = run(150 - rows, rows);
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.end() - std::ssize(some))) << rows << " rows, " << to_text(storage);
    }
  }
}

TEST(StepProgram, StoresWeightsAsAsked) {
  const Tensor w = Tensor::from<float>({1, -.5f, .003f, 127, 0, 63.4f, 0, 0, 0}, {3, 3});
  const PackedWeight exact(std::array{w}, WeightStorage::f32), rounded(std::array{w}, WeightStorage::bf16),
      whole(std::array{w}, WeightStorage::int8);
  EXPECT_EQ(exact.squared_error(), 0);
  EXPECT_EQ(exact.bytes(), 36);
  EXPECT_EQ(rounded.bytes(), 18);
  EXPECT_EQ(whole.bytes(), 9 + 12);
  EXPECT_FLOAT_EQ(whole.scales()[0], 1.f / 127);
  EXPECT_EQ(whole.scales()[1], 1);
  EXPECT_EQ(whole.scales()[2], 0);
  EXPECT_EQ(whole.panels()[0], 0x00'00'c0'7fu);  // output 0: 0, -64, 127, the first input in the lowest bits
  EXPECT_EQ(whole.panels()[1], 0x00'3f'00'7fu);  // output 1: 63, 0, 127
  EXPECT_EQ(whole.panels()[3], 0u);              // beyond the last output
  EXPECT_EQ(rounded.panels()[0], 0xbf00'3f80u);
  EXPECT_NEAR(whole.squared_error(), std::pow(64. / 127 - .5, 2) + .003 * .003 + .4 * .4, 1e-5);
  EXPECT_EQ(weight_storage("int8"), WeightStorage::int8);
  EXPECT_THAT(message_of<ConfigError>([] { weight_storage("int4"); }), HasSubstr("f32, bf16 or int8: asked for int4"));
  EXPECT_THAT(message_of([&] {
                PackedWeight(std::array{w, Tensor::zeros({2, 4})}, WeightStorage::f32);
              }),
              HasSubstr("f32[3, 3], then f32[2, 4]"));
}

TEST(StepProgram, SaysWhatDoesNotFit) {
  const Program p(WeightStorage::f32, Activation::relu, DType::f32, 4);
  const auto run = [&](const Batch& b) { return message_of([&] { p.program.run(b.view()); }); };
  Batch b;
  b.line(5, 0, 1);
  EXPECT_THAT(run(b), HasSubstr("rows 5, room 4"));
  Batch token;
  token.line(1, 0, 1);
  token.tokens[0] = kVocabulary;
  EXPECT_THAT(run(token), HasSubstr("row 0, token 50, vocabulary 50"));
  token.tokens[0] = 0, token.positions[0] = kCapacity;
  EXPECT_THAT(run(token), HasSubstr("position 24, positions 24"));
  StepProgram program(1);
  const RowBuffer x = program.buffer(8), y = program.buffer(9);
  EXPECT_THAT(message_of([&] {
                program.product(x, PackedWeight(std::array{random({9, 7}, 1)}, WeightStorage::f32), {}, {}, y);
              }),
              HasSubstr("what a product reads must be all of a buffer of width 7: columns 8 of 8"));
}

TEST(TopK, FindsTheLargest) {
  const std::int64_t rows = 12, n = 4001;
  std::vector<float> logits = random_values<float>(rows * n, 5, -9, 9);
  for (std::size_t i = 0; i < 4001; ++i) logits[i] = static_cast<float>(i % 7);                   // ties
  for (std::size_t i = 4001; i < 8000; ++i) logits[i] = -std::numeric_limits<float>::infinity();  // fewer than are asked for
  logits[2 * 4001 + 5] = std::nanf("");
  for (const std::size_t k : {1u, 5u, 64u})
    check("top " + std::to_string(k), 1e-6, [&](Results& r) {
      std::vector<float> values(rows * k), sums(rows);
      std::vector<std::int32_t> ids(rows * k);
      top_k(logits, values, ids, sums);
      EXPECT_EQ(ids[0], 6);
      EXPECT_EQ(ids[k - 1], static_cast<std::int32_t>(7 * k - 1));
      EXPECT_TRUE(std::isnan(sums[2]));
      r.add(ids);
      for (const float v : values) r.values.push_back(std::isinf(v) ? -1e9 : static_cast<double>(v));
      sums[2] = 0;
      r.add(sums);
    });
  std::vector<float> values(3), sums(1);
  std::vector<std::int32_t> ids(3);
  EXPECT_THAT(message_of([&] { top_k(std::span<const float>(logits).first(2), values, ids, sums); }), HasSubstr("numbers 2, values 3"));
}

}  // namespace
}  // namespace capstan
