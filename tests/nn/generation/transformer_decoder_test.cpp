// Transformers that write through step programs: the logits of the layers themselves, whatever runs beside a line.
#include "nn/generation/transformer_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"
#include "nn/generation/generator.h"
#include "nn/init.h"
#include "tests/message_of.h"

namespace capstan::nn {
namespace {

using ::testing::HasSubstr;

using Tokens = std::vector<std::int64_t>;
using Row = Decoder::Row;

constexpr std::int64_t kWidth = 24, kVocabulary = 37, kPositions = 40;

struct Kind {
  bool pre_norm = false;
  Activation activation = Activation::relu;
  bool bias = true, final_norm = true;
  std::int64_t key_value_heads = 0, head_width = 0;
  bool positions = true;
  std::optional<Gate> gate = {};
  NormKind norm = NormKind::layer;
  double rotary_base = 0;
  /// Of f32 against f64. The products of gated layers pass on twice the rounding of their factors.
  double tolerance() const { return gate ? 2e-6 : 1e-6; }
};

std::string to_text(const Kind& k) {
  return join_text(k.pre_norm ? "pre-norm " : "post-norm ", to_text(k.activation), k.bias ? " bias" : "", k.final_norm ? " final norm" : "",
                   " kv ", k.key_value_heads, " head ", k.head_width, k.positions ? " positions" : "", k.gate ? " gated" : "",
                   k.norm == NormKind::rms ? " rms" : "", k.rotary_base != 0 ? " rotary" : "");
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {},
      {.pre_norm = true, .activation = Activation::gelu, .key_value_heads = 2},
      {.activation = Activation::gelu_tanh, .bias = false, .final_norm = false, .head_width = 10},
      {.pre_norm = true, .bias = false, .final_norm = false, .key_value_heads = 1, .positions = false},
      {.pre_norm = true,
       .bias = false,
       .key_value_heads = 2,
       .positions = false,
       .gate = Gate::swiglu,
       .norm = NormKind::rms,
       .rotary_base = 1e4},
      {.key_value_heads = 1, .head_width = 10, .gate = Gate::geglu, .norm = NormKind::rms, .rotary_base = 100}};
  return all;
}

struct Layers {
  TransformerStack<EncoderLayer> encoder, causal;
  TransformerStack<DecoderLayer> decoder;

  static TransformerStackOptions options(const Kind& k) {
    return {.layers = 2,
            .layer = {.width = kWidth,
                      .heads = 4,
                      .inner = 50,
                      .key_value_heads = k.key_value_heads,
                      .head_width = k.head_width,
                      .activation = k.activation,
                      .gate = k.gate,
                      .norm = k.norm,
                      .pre_norm = k.pre_norm,
                      .bias = k.bias,
                      .rotary_base = k.rotary_base,
                      .init = normal(.2)},
            .final_norm = k.final_norm};
  }
  Layers(const Scope& root, const Kind& k)
      : encoder(root / "encoder", options(k)), causal(root / "causal", options(k)), decoder(root / "decoder", options(k)) {}
};

/// A small model of random weights, biases and norms too, computed in f64 by the layers themselves or by a TransformerDecoder.
struct Model {
  ParameterStore store{5}, exact_store{5, DType::f64};
  Layers layers, exact;
  TransformerTables source, target;

  explicit Model(const Kind& k) : layers(store.root(), k), exact(exact_store.root(), k) {
    for (const Parameter& p : store.parameters()) {
      const Tensor value = p.write(), twin = exact_store.find(p.name()).write();
      for (std::int64_t i = 0; i < value.numel(); ++i) {
        if (p.shape().rank() == 1) value.data<float>()[i] += .3f * std::sin(static_cast<float>(i) + static_cast<float>(p.name().size()));
        twin.data<double>()[i] = static_cast<double>(value.data<float>()[i]);
      }
    }
    const auto table = [&](const char* name, std::int64_t rows) {
      return store.root().parameter(name, {rows, kWidth}, normal(.5)).value().detach();
    };
    source = {.embedding = table("source", kVocabulary + 4),
              .scale = 2,
              .positions = k.positions ? table("source_positions", kPositions) : Tensor()};
    target = {.embedding = table("target", kVocabulary),
              .positions = k.positions ? table("positions", kPositions) : Tensor(),
              .output = table("output", kVocabulary)};
    if (k.bias) target.output_bias = Tensor::from<float>(std::vector<float>(kVocabulary, .25f), {kVocabulary});
    if (!k.positions) target.output = target.embedding;  // tied
  }

  static Tensor exact_of(const Tensor& t) { return t.defined() ? cast(t, DType::f64) : t; }
  static Tensor embedded(const TransformerTables& t, const Tokens& tokens) {
    Tokens places(tokens.size());
    for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::int64_t>(i);
    const Shape shape{1, std::ssize(tokens)};
    const Tensor x = affine(exact_of(embedding(t.embedding, Tensor::from(tokens, shape))), t.scale);
    return t.positions.defined() ? add(x, exact_of(embedding(t.positions, Tensor::from(places, shape)))) : x;
  }
  /// Logits behind each token of a line [1, T, vocabulary], without caches; a source, if any, for the decoder that attends.
  std::vector<double> logits(const Tokens& tokens, const Tokens& from, DType type = DType::f64) const {
    const NoGrad no_grad;
    const Layers& own = type == DType::f64 ? exact : layers;
    const auto in_type = [&](const Tensor& t) { return t.defined() ? cast(t, type) : t; };
    const Tensor x = in_type(embedded(target, tokens));
    const Tensor y = from.empty() ? own.causal(x, {.causal = true}, {})
                                  : own.decoder(x, {.memory = own.encoder(in_type(embedded(source, from)), {}, {})}, {});
    return linear(y, in_type(target.output), in_type(target.output_bias)).to_vector();
  }
};

/// `rounding`: what the same in f32 without caches deviates by, which depends on the vectors of the processor; where that is more than the
/// tolerance, twice as much is allowed.
void expect_relative(std::span<const float> actual, std::span<const double> expected, double tolerance, double rounding,
                     const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], std::max(tolerance * largest, 2 * rounding))
        << what << ", element " << i << ", rounding " << rounding;
}

Tokens counting(std::int64_t n, std::int64_t first) {
  Tokens t;
  for (std::int64_t i = 0; i < n; ++i) t.push_back((first + 5 * i) % kVocabulary);
  return t;
}

/// Feeds a line to a decoder and compares the logits behind every token from `before` on.
void follow(Decoder& decoder, const Model& model, const Tokens& tokens, std::size_t before, const Tokens& source, double tolerance,
            const std::string& what) {
  const std::vector<double> expected = model.logits(tokens, source), in_f32 = model.logits(tokens, source, DType::f32);
  double rounding = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) rounding = std::max(rounding, std::abs(in_f32[i] - expected[i]));
  decoder.begin(std::vector<Decoder::Line>{{.place = 1, .source = source, .before = std::span(tokens).first(before)}});
  for (std::size_t t = before; t < tokens.size(); ++t) {
    const std::vector<Row> rows{
        {.place = 1, .token = tokens[t], .position = static_cast<std::int64_t>(t), .from = t == before ? Decoder::kBegin : 0}};
    expect_relative(decoder.step(rows), std::span(expected).subspan(t * kVocabulary, kVocabulary), tolerance, rounding,
                    what + ", token " + std::to_string(t));
  }
}

constexpr TransformerDecoderOptions kRoom{.lines = 3, .beams = 4, .max_length = 20, .max_source = 12};

TEST(TransformerDecoder, GivesTheLogitsOfTheLayers) {
  for (const Kind& kind : kinds()) {
    const Model model(kind);
    TransformerDecoder attends(model.layers.encoder, model.source, model.layers.decoder, model.target, kRoom),
        alone(model.layers.causal, model.target, kRoom);
    EXPECT_EQ(alone.max_source(), 0);
    for (const std::size_t before : {0u, 5u}) {
      follow(attends, model, counting(11, 3), before, counting(9, 1), kind.tolerance(), to_text(kind) + ", with a source");
      follow(alone, model, counting(11, 3), before, {}, kind.tolerance(), to_text(kind) + ", alone");
    }
  }
}

TEST(TransformerDecoder, ShorterWeightsAreNearby) {
  const Model model(kinds()[0]);
  TransformerDecoderOptions o = kRoom;
  double bytes = 0;
  for (const auto& [storage, tolerance] :
       {std::pair{WeightStorage::f32, 1e-6}, std::pair{WeightStorage::bf16, .02}, std::pair{WeightStorage::int8, .03}}) {
    o.weights = storage;
    TransformerDecoder decoder(model.layers.encoder, model.source, model.layers.decoder, model.target, o);
    follow(decoder, model, counting(6, 3), 0, counting(9, 1), tolerance, to_text(storage));
    EXPECT_LT(decoder.weight_error(), tolerance);
    EXPECT_EQ(decoder.weight_error() > 0, storage != WeightStorage::f32);
    if (bytes > 0) {
      EXPECT_LT(static_cast<double>(decoder.weight_bytes()), .7 * bytes);
    }
    bytes = static_cast<double>(decoder.weight_bytes());
  }
}

TEST(TransformerDecoder, ShorterCachesAreNearby) {
  for (const Kind& kind : kinds()) {
    const Model model(kind);
    TransformerDecoderOptions o = kRoom;
    o.cache = DType::bf16;
    TransformerDecoder attends(model.layers.encoder, model.source, model.layers.decoder, model.target, o),
        alone(model.layers.causal, model.target, o), whole(model.layers.causal, model.target, kRoom);
    EXPECT_EQ(2 * alone.cache_bytes(), whole.cache_bytes());
    follow(attends, model, counting(8, 3), 5, counting(9, 1), .02, to_text(kind) + ", with a source");
    follow(alone, model, counting(8, 3), 5, {}, .02, to_text(kind) + ", alone");
  }
}

// Beams that branch, die out and change places are what each of their histories gives alone; a neighbour enters and leaves meanwhile.
TEST(TransformerDecoder, BeamsReadTheirOwnHistory) {
  const Model model(kinds()[1]);
  TransformerDecoder decoder(model.layers.encoder, model.source, model.layers.decoder, model.target, kRoom);
  const Tokens source = counting(7, 2), other = counting(12, 4);
  // The rows of each step: which row of the last step each continues.
  const std::vector<std::vector<std::int64_t>> from{{Decoder::kBegin}, {0, 0, 0}, {2, 0, 2, 1}, {3, 3, 0}, {1, 2, 0, 0}, {0}, {0, 0}};
  std::vector<Tokens> lines{{}};
  std::vector<Row> last;
  decoder.begin(std::vector<Decoder::Line>{{.place = 2, .source = source}});
  for (std::size_t step = 0; step < from.size(); ++step) {
    std::vector<Row> rows;
    const bool visited = step >= 2 && step < 5;  // by a line in front
    if (step == 2) decoder.begin(std::vector<Decoder::Line>{{.place = 0, .source = other, .before = counting(3, 6)}});
    if (visited)
      rows.push_back({.place = 0, .token = 1, .position = static_cast<std::int64_t>(step) + 1, .from = step == 2 ? Decoder::kBegin : 0});
    const std::int64_t shift = std::ssize(last) > 0 && last[0].place == 0 ? 1 : 0;
    std::vector<Tokens> next;
    for (std::size_t r = 0; r < from[step].size(); ++r) {
      const std::int64_t parent = from[step][r], token = static_cast<std::int64_t>(7 * step + 3 * r) % kVocabulary;
      next.push_back(lines[static_cast<std::size_t>(std::max<std::int64_t>(parent, 0))]);
      next.back().push_back(token);
      rows.push_back(
          {.place = 2, .token = token, .position = static_cast<std::int64_t>(step), .from = parent < 0 ? parent : parent + shift});
    }
    const std::span<float> logits = decoder.step(rows);
    for (std::size_t r = 0; r < next.size(); ++r) {
      const std::vector<double> expected = model.logits(next[r], source);
      expect_relative(logits.subspan((r + (visited ? 1 : 0)) * kVocabulary, kVocabulary), std::span(expected).last(kVocabulary), 1e-6, 0,
                      "step " + std::to_string(step) + ", row " + std::to_string(r));
    }
    lines = next;
    last = rows;
  }
}

std::vector<Generation> generate(Decoder& decoder, std::vector<GenerationRequest> requests) {
  std::vector<Generation> all;
  Generator generator(decoder, {.deliver = [&](Generation g) { all.push_back(std::move(g)); }});
  for (GenerationRequest& r : requests) generator.submit(std::move(r));
  generator.finish();
  return all;
}

TEST(TransformerDecoder, ALineDependsOnItsOwnRequestAlone) {
  const auto requests = [](bool reads) {
    std::vector<GenerationRequest> all;
    for (std::uint64_t i = 0; i < 9; ++i) {
      GenerationOptions o{.max_length = static_cast<std::int64_t>(4 + i), .stop_tokens = {2}};
      if (i % 3 == 0) o.beams = o.hypotheses = 2 + static_cast<std::int64_t>(i) / 3;
      if (i % 3 == 1) o.choice = {.temperature = .8, .top_k = 0, .top_p = .9};
      all.push_back({.source = reads ? counting(static_cast<std::int64_t>(3 + i), static_cast<std::int64_t>(i)) : Tokens(),
                     .prompt = counting(static_cast<std::int64_t>(1 + i % 4), static_cast<std::int64_t>(i)),
                     .options = o,
                     .seed = i});
    }
    return all;
  };
  for (const WeightStorage storage : {WeightStorage::f32, WeightStorage::int8})
    for (const bool reads : {true, false}) {
      const Model model(kinds()[0]);
      TransformerDecoderOptions o = kRoom;
      o.weights = storage, o.lines = 5;
      o.cache = storage == WeightStorage::f32 ? DType::f32 : DType::bf16;
      const auto make = [&] {
        return reads ? std::make_unique<TransformerDecoder>(model.layers.encoder, model.source, model.layers.decoder, model.target, o)
                     : std::make_unique<TransformerDecoder>(model.layers.causal, model.target, o);
      };
      const auto together = make(), alone = make();
      const std::vector<Generation> side_by_side = generate(*together, requests(reads));
      for (std::size_t i = 0; i < side_by_side.size(); ++i) {
        const Generation one = generate(*alone, {requests(reads)[i]}).at(0);
        ASSERT_EQ(side_by_side[i].hypotheses.size(), one.hypotheses.size());
        for (std::size_t n = 0; n < one.hypotheses.size(); ++n) {
          EXPECT_EQ(side_by_side[i].hypotheses[n].tokens, one.hypotheses[n].tokens);
          EXPECT_EQ(side_by_side[i].hypotheses[n].score, one.hypotheses[n].score);  // to the last bit
        }
      }
    }
}

TEST(TransformerDecoder, SaysWhatIsWrong) {
  const Model model(kinds()[0]);
  TransformerDecoder decoder(model.layers.encoder, model.source, model.layers.decoder, model.target, kRoom);
  const auto begin = [&](const Decoder::Line& line) { return message_of<ArgumentError>([&] { decoder.begin(std::span(&line, 1)); }); };
  EXPECT_THAT(begin({.place = 3}), HasSubstr("place 3, lines 3"));
  EXPECT_THAT(begin({.place = 0}), HasSubstr("between 1 and max_source tokens"));
  const Tokens source = counting(4, 0), many = counting(21, 0);
  EXPECT_THAT(begin({.place = 0, .source = many}), HasSubstr("21, max_source 12"));
  EXPECT_THAT(begin({.place = 0, .source = source, .before = many}), HasSubstr("tokens before 21, max_length 20"));
  EXPECT_EQ(begin({.place = 0, .source = source}), "nothing was thrown");
  const auto step = [&](const std::vector<Row>& rows) { return message_of<ArgumentError>([&] { decoder.step(rows); }); };
  EXPECT_THAT(step({{.place = 0, .position = 1, .from = 0}}), HasSubstr("must continue one of its line"));
  EXPECT_THAT(step(std::vector<Row>(5)), HasSubstr("more rows of a line than beams"));
  TransformerDecoderOptions o = kRoom;
  o.max_length = kPositions + 1;
  EXPECT_THAT(message_of<ArgumentError>([&] { TransformerDecoder(model.layers.causal, model.target, o); }), HasSubstr("asked for 41"));
  ParameterStore store(1);
  TransformerStackOptions relative = Layers::options(kinds()[0]);
  relative.layer.relative = RelativePositions::key, relative.layer.max_length = 20;
  const TransformerStack<EncoderLayer> stack(store.root(), relative);
  EXPECT_THAT(message_of<ArgumentError>([&] { TransformerDecoder(stack, model.target, kRoom); }), HasSubstr("without relative positions"));
}

}  // namespace
}  // namespace capstan::nn
