// Layers and stacks that decode with caches: what the whole sequences at once give, for prompts, single tokens, padding and beams.
#include "nn/decoding_state.h"

#include <gtest/gtest.h>

#include <numeric>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/transformer_stack.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"

namespace capstan::nn {
namespace {

using Encoder = TransformerStack<EncoderLayer>;
using Decoder = TransformerStack<DecoderLayer>;

constexpr std::int64_t kWidth = 16, kTokens = 13;

TransformerStackOptions options(bool pre_norm, std::int64_t key_value_heads = 0, bool bias = true) {
  return {.layers = 3,
          .layer = {.width = kWidth, .heads = 4, .inner = 24, .key_value_heads = key_value_heads, .pre_norm = pre_norm, .bias = bias}};
}

Tensor numbers(const Shape& shape, double k, DType dtype = DType::f32) { return cast(cosine(shape, k), dtype); }

/// Tokens [first, first + n) of each sequence.
Tensor tokens_of(const Tensor& x, std::int64_t first, std::int64_t n) { return x.view(x.layout().slice(1, first, n)); }

Tensor flags(const std::vector<std::uint8_t>& values, std::int64_t batch) {
  return Tensor::from(values, {batch, static_cast<std::int64_t>(values.size()) / batch});
}

/// The largest difference, relative to the largest number expected; where `real` says so.
void expect_relative(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what, const Tensor& real = {}) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  const std::vector<double> a = actual.to_vector(), e = expected.to_vector(), r = real.defined() ? real.to_vector() : std::vector<double>{};
  const std::size_t width = static_cast<std::size_t>(actual.size(-1));
  double largest = 0;
  for (const double v : e) largest = std::max(largest, std::abs(v));
  ASSERT_GT(largest, 0) << what;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!r.empty() && r[i / width] == 0) continue;
    ASSERT_NEAR(a[i], e[i], tolerance * largest) << what << ", element " << i;
  }
}

/// A prompt, then a few tokens, then one at a time.
const std::vector<std::int64_t> kCounts{5, 3, 1, 1, 2, 1};

template <class Stack>
Tensor decoded(const Stack& stack, const Tensor& x, DecodingState& state, const Tensor& real = {}) {
  std::vector<Tensor> parts;
  for (const std::int64_t n : kCounts) {
    const std::int64_t first = state.position();
    parts.push_back(stack.decode(tokens_of(x, first, n), state, {.keys = real.defined() ? tokens_of(real, first, n) : real}, {}));
    EXPECT_EQ(state.position(), first + n);
  }
  return concat(parts, 1);
}

TEST(Decoding, OfAStackWithoutMemoryEqualsTheWholeSequenceAtOnce) {
  const Tensor real = flags({0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1}, 2);  // a hole in the second
  for (const DType dtype : {DType::f32, DType::f64})
    for (const bool pre_norm : {false, true})
      for (const std::int64_t key_value_heads : {0, 2, 1})
        for (const bool padded : {false, true}) {
          SCOPED_TRACE(::testing::Message() << name_of(dtype) << (pre_norm ? ", pre-norm, " : ", post-norm, ") << key_value_heads
                                            << padded);
          ParameterStore store(3, dtype);
          const Encoder stack(store.root(), options(pre_norm, key_value_heads, !padded));
          const Tensor x = numbers({2, kTokens, kWidth}, 0, dtype), keys = padded ? real : Tensor();
          const Tensor expected = stack(x, {.keys = keys, .causal = true}, {});
          const NoGrad no_grad;
          for (const std::int64_t capacity : {0, 100}) {
            DecodingState state = stack.begin_decoding(2, capacity);
            EXPECT_EQ(state.batch(), 2);
            expect_relative(decoded(stack, x, state, keys), expected, dtype == DType::f32 ? 1e-6 : 1e-14, "decoded", keys);
          }
        }
}

TEST(Decoding, OfADecoderEqualsTheWholeSequenceAtOnce) {
  const Tensor memory_real = flags({1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1}, 2), real = flags(std::vector<std::uint8_t>(26, 1), 2);
  for (std::int64_t t = 0; t < 4; ++t) real.data<std::uint8_t>()[t] = 0;
  for (const DType dtype : {DType::f32, DType::f64})
    for (const bool pre_norm : {false, true})
      for (const std::int64_t key_value_heads : {0, 2})
        for (const bool padded : {false, true}) {
          SCOPED_TRACE(::testing::Message() << name_of(dtype) << (pre_norm ? ", pre-norm, " : ", post-norm, ") << key_value_heads
                                            << padded);
          ParameterStore store(3, dtype);
          const Decoder stack(store.root(), options(pre_norm, key_value_heads, !padded));
          const Tensor x = numbers({2, kTokens, kWidth}, 0, dtype), memory = numbers({2, 7, kWidth}, 1, dtype);
          const Tensor keys = padded ? real : Tensor(), memory_keys = padded ? memory_real : Tensor();
          const Tensor expected =
              stack(x, {.memory = memory, .mask = {.keys = keys, .causal = true}, .memory_mask = {.keys = memory_keys}}, {});
          const NoGrad no_grad;
          DecodingState state = stack.begin_decoding(memory, memory_keys);
          expect_relative(decoded(stack, x, state, keys), expected, dtype == DType::f32 ? 1e-6 : 1e-14, "decoded", keys);
        }
}

TEST(Decoding, OfSingleLayersEqualsTheWholeSequenceAtOnce) {
  const Tensor x = numbers({2, kTokens, kWidth}, 0), memory = numbers({2, 7, kWidth}, 1),
               memory_keys = flags({1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1}, 2);
  for (const bool pre_norm : {false, true}) {
    ParameterStore store(3);
    const EncoderLayer encoder(store.root() / "a", options(pre_norm).layer);
    const DecoderLayer decoder(store.root() / "b", options(pre_norm).layer);
    const Tensor of_encoder = encoder(x, {.causal = true}, {}),
                 of_decoder = decoder(x, {.memory = memory, .memory_mask = {.keys = memory_keys}}, {});
    const NoGrad no_grad;
    LayerCache first, second = decoder.begin_decoding(memory, memory_keys);
    std::vector<Tensor> by_encoder, by_decoder;
    for (std::int64_t at = 0; const std::int64_t n : kCounts) {
      by_encoder.push_back(encoder.decode(tokens_of(x, at, n), first, {}, {}));
      by_decoder.push_back(decoder.decode(tokens_of(x, at, n), second, {}, {}));
      at += n;
    }
    expect_relative(concat(by_encoder, 1), of_encoder, 1e-6, "encoder layer");
    expect_relative(concat(by_decoder, 1), of_decoder, 1e-6, "decoder layer");
  }
}

TEST(Decoding, KnowsHowFarApartTokensAre) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const RelativePositions kind : {RelativePositions::key, RelativePositions::key_query})
      for (const bool pre_norm : {false, true}) {
        ParameterStore store(3, dtype);
        TransformerStackOptions o = options(pre_norm, kind == RelativePositions::key ? 2 : 0);
        o.layer.relative = kind, o.layer.max_length = kTokens;
        const Encoder stack(store.root(), o);
        const Tensor x = numbers({2, kTokens, kWidth}, 0, dtype), keys = flags(std::vector<std::uint8_t>(2 * kTokens, 1), 2);
        keys.data<std::uint8_t>()[0] = 0;
        const Tensor expected = stack(x, {.keys = keys, .causal = true}, {});
        const NoGrad no_grad;
        DecodingState state = stack.begin_decoding(2);
        expect_relative(decoded(stack, x, state, keys), expected, dtype == DType::f32 ? 1e-6 : 1e-14, "decoded", keys);
        EXPECT_NE(message_of<ShapeError>([&] { stack.decode(tokens_of(x, 0, 1), state, {}, {}); }).find("14 and 13"), std::string::npos);
        EXPECT_EQ(state.position(), kTokens);
      }
}

TEST(Decoding, TurnsTokensByTheirPlaces) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    ParameterStore store(3, dtype);
    TransformerStackOptions o = options(true, 2);
    o.layer.rotary_base = 20, o.layer.norm = NormKind::rms, o.layer.gate = Gate::swiglu;
    const Encoder stack(store.root(), o);
    const Tensor x = numbers({2, kTokens, kWidth}, 0, dtype), expected = stack(x, {.causal = true}, {});
    const NoGrad no_grad;
    DecodingState state = stack.begin_decoding(2);
    expect_relative(decoded(stack, x, state), expected, dtype == DType::f32 ? 1e-6 : 1e-14, "decoded");
  }
}

/// Rows of x [B, ...].
Tensor rows_of(const Tensor& x, const std::vector<std::int64_t>& rows) {
  return index_select(x, 0, Tensor::from(rows, {static_cast<std::int64_t>(rows.size())}));
}

// Two sources, three beams each from the second token on, which are exchanged, die and change their source.
TEST(Decoding, FollowsBeamsThatAreReordered) {
  const std::vector<std::vector<std::int64_t>> parents{
      {0, 0, 0, 1, 1, 1}, {2, 0, 0, 4, 5, 5}, {1, 1, 2, 3, 4, 5}, {0, 1, 2, 5, 4, 3}, {3, 0, 1, 2}};
  const Tensor memory = numbers({2, 7, kWidth}, 1), memory_keys = flags({1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1}, 2),
               real = flags({0, 0, 1, 1, 1, 1, 1, 1}, 2);
  for (const bool pre_norm : {false, true}) {
    ParameterStore store(3);
    const Decoder stack(store.root(), options(pre_norm, 2));
    const NoGrad no_grad;
    DecodingState state = stack.begin_decoding(memory, memory_keys);
    Tensor prefix = numbers({2, 4, kWidth}, 0), keys = real;  // of every beam, to compute anew
    std::vector<std::int64_t> source{0, 1};
    stack.decode(prefix, state, {.keys = keys}, {});
    for (const std::vector<std::int64_t>& rows : parents) {
      state.reorder(rows);
      const auto beams = static_cast<std::int64_t>(rows.size());
      EXPECT_EQ(state.batch(), beams);
      const Tensor next = numbers({beams, 2, kWidth}, 3 + static_cast<double>(prefix.size(1)));
      prefix = concat({rows_of(prefix, rows), next}, 1);
      keys = concat({rows_of(keys, rows), Tensor::full({beams, 2}, 1, DType::u8)}, 1);
      std::vector<std::int64_t> sources;
      for (const std::int64_t row : rows) sources.push_back(source[static_cast<std::size_t>(row)]);
      source = sources;
      const Tensor y = stack.decode(next, state, {}, {});
      const Tensor expected = stack(prefix,
                                    {.memory = rows_of(memory, source),
                                     .mask = {.keys = keys, .causal = true},
                                     .memory_mask = {.keys = rows_of(memory_keys, source)}},
                                    {});
      expect_relative(y, tokens_of(expected, prefix.size(1) - 2, 2), 1e-6, "beams");
    }
  }
}

TEST(Decoding, CanBeTakenBackAndCopied) {
  ParameterStore store(3);
  const Decoder stack(store.root(), options(true));
  const Tensor x = numbers({2, kTokens, kWidth}, 0), other = numbers({2, kTokens, kWidth}, 5), memory = numbers({2, 7, kWidth}, 1);
  const NoGrad no_grad;
  DecodingState state = stack.begin_decoding(memory);
  stack.decode(tokens_of(x, 0, 4), state, {}, {});
  DecodingState copy = state;
  const Tensor expected = stack.decode(tokens_of(x, 4, 3), state, {}, {});
  state.truncate(4);
  EXPECT_EQ(state.position(), 4);
  stack.decode(tokens_of(other, 4, 3), state, {}, {});
  EXPECT_EQ(stack.decode(tokens_of(x, 4, 3), copy, {}, {}).to_vector(), expected.to_vector());
  // Before the first token there is nothing but the memory to reorder.
  DecodingState fresh = stack.begin_decoding(memory), same = stack.begin_decoding(rows_of(memory, {1, 1, 0}));
  fresh.reorder(std::vector<std::int64_t>{1, 1, 0});
  const Tensor three = numbers({3, 2, kWidth}, 0);
  expect_relative(stack.decode(three, fresh, {}, {}), stack.decode(three, same, {}, {}), 1e-6, "reordered memory");
}

TEST(Decoding, TakesABiasOfTheQueriesAndAllKeys) {
  ParameterStore store(3);
  const Encoder stack(store.root(), options(true));
  const Tensor x = numbers({1, kTokens, kWidth}, 0), bias = numbers({4, kTokens, kTokens}, 2);
  const Tensor expected = stack(x, {.bias = bias, .causal = true}, {});
  const NoGrad no_grad;
  DecodingState state = stack.begin_decoding(1);
  std::vector<Tensor> parts;
  for (const std::int64_t n : kCounts) {
    const std::int64_t first = state.position();
    const Tensor part = bias.view(bias.layout().slice(1, first, n).slice(2, 0, first + n));
    parts.push_back(stack.decode(tokens_of(x, first, n), state, {.bias = part}, {}));
  }
  expect_relative(concat(parts, 1), expected, 1e-6, "decoded");
}

TEST(Decoding, SaysWhatDoesNotFitAndLeavesTheStateAsItWas) {
  ParameterStore store(3);
  const Encoder encoder(store.root() / "a", options(true)), deeper(store.root() / "b", {.layers = 4, .layer = options(true).layer});
  const Decoder decoder(store.root() / "c", options(true));
  const DecoderLayer layer(store.root() / "d", options(true).layer);
  const Tensor x = numbers({2, 3, kWidth}, 0), memory = numbers({2, 7, kWidth}, 1);
  const auto expect_message = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  {
    DecodingState state = encoder.begin_decoding(2);
    const Tape tape;
    expect_message(message_of<GraphError>([&] { encoder.decode(x, state, {}, {}); }), "decode in the scope of a NoGrad: x f32[2, 3, 16]");
    expect_message(message_of<GraphError>([&] { decoder.begin_decoding(memory); }), "NoGrad: memory f32[2, 7, 16]");
    LayerCache cache;
    expect_message(message_of<GraphError>([&] { layer.decode(x, cache, {}, {}); }), "decode in the scope of a NoGrad");
  }
  const NoGrad no_grad;
  DecodingState state = encoder.begin_decoding(2);
  const Tensor expected = encoder.decode(x, state, {}, {});
  expect_message(message_of<ShapeError>([&] { deeper.decode(x, state, {}, {}); }), "layers 4, of the state 3");
  expect_message(message_of<ShapeError>([&] {
                   encoder.decode(numbers({3, 1, kWidth}, 0), state, {}, {});
                 }),
                 "x f32[3, 1, 16], sequences 2");
  expect_message(message_of<ShapeError>([&] { encoder.decode(numbers({2, kWidth}, 0), state, {}, {}); }), "x f32[2, 16]");
  expect_message(message_of<ShapeError>([&] { encoder.decode(x, state, {.keys = flags({1, 1}, 2)}, {}); }), "real u8[2, 1]");
  expect_message(message_of<ShapeError>([&] { encoder.decode(x, state, {.bias = numbers({3, 3}, 0)}, {}); }), "scores [2, 4, 3, 6]");
  expect_message(message_of<ShapeError>([&] { state.reorder(std::vector<std::int64_t>{0, 2}); }), "position 1 holds 2, sequences 2");
  expect_message(message_of<ShapeError>([&] { state.reorder({}); }), "must leave a sequence: sequences 2");
  expect_message(message_of<ShapeError>([&] { state.truncate(4); }), "asked 4, held 3");
  expect_message(message_of<ArgumentError>([&] { encoder.begin_decoding(0); }), "batch 0");
  EXPECT_EQ(state.position(), 3);
  DecodingState again = encoder.begin_decoding(2);
  encoder.decode(x, again, {}, {});
  EXPECT_EQ(encoder.decode(x, state, {}, {}).to_vector(), encoder.decode(x, again, {}, {}).to_vector());

  LayerCache empty, of_two = layer.begin_decoding(memory);
  expect_message(message_of<ShapeError>([&] { layer.decode(x, empty, {}, {}); }), "sequences 2, with a memory 0");
  layer.decode(x, of_two, {}, {});
  expect_message(message_of<ShapeError>([&] { layer.decode(numbers({5, 1, kWidth}, 0), of_two, {}, {}); }), "sequences 5 and 2");
  expect_message(message_of<ShapeError>([&] { decoder.begin_decoding(memory, flags({1, 1}, 2)); }), "keys f32[2, 7, 4, 4], real u8[2, 1]");
  expect_message(message_of<ShapeError>([&] { DecodingState(3, {of_two}); }), "layer 0 holds 3");
  expect_message(message_of<ShapeError>([&] { DecodingState(3, {layer.begin_decoding(memory)}); }), "layer 0, memories 2, sequences 3");
}

}  // namespace
}  // namespace capstan::nn
