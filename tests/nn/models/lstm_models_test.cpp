// The recurrent networks with attention, and kernel regression: numbers worked out elsewhere, gradients, what padding and steps do.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "nn/models/kernel_regression.h"
#include "nn/models/lstm_classifier.h"
#include "nn/models/lstm_seq2seq.h"
#include "tests/nn/formulas.h"
#include "tests/nn/gradient_check.h"

namespace capstan::nn {
namespace {

Tensor ids_of(const std::vector<std::int64_t>& ids) { return Tensor::from(ids, {std::ssize(ids)}); }
TokenLayout padded(const std::vector<std::int64_t>& lengths, std::int64_t length) {
  return token_layout(lengths, length, /*packed=*/false, Align::left);
}

// ---- classifier

const Tensor kWords = ids_of({1, 4, 2, 3, 1, 0});  // of three and of two tokens

LstmClassifierOptions small() {
  return {.embedding = 3, .layers = 1, .hidden_size = 2, .word_dropout = 0, .embedding_dropout = 0, .lstm_dropout = 0, .output_dropout = 0};
}

TEST(LstmClassifier, GradientsEqualCentralDifferences) {
  struct Form {
    PoolingKind attention;
    DirectionMerge merge;
    std::int64_t layers;
  };
  for (const Form& form : {Form{PoolingKind::additive, DirectionMerge::concat, 2}, Form{PoolingKind::zhou, DirectionMerge::sum, 1},
                           Form{PoolingKind::dot, DirectionMerge::concat, 1}, Form{PoolingKind::dot, DirectionMerge::sum, 1}}) {
    LstmClassifierOptions o = small();
    o.attention = form.attention, o.merge = form.merge, o.layers = form.layers;
    o.word_dropout = .2, o.embedding_dropout = .2, o.lstm_dropout = .2, o.output_dropout = .2;
    const LayerBuilder build = [&](const Scope& s) {
      return [l = LstmClassifier(s, 5, o, {.classes = 3})](Inputs) {
        const TokenLayout layout = padded({3, 2}, 3);
        return l(kWords, layout, {.training = true, .seed = 3, .token_ids = layout.keys}).logits;
      };
    };
    EXPECT_EQ(gradient_errors(build, {}), "") << static_cast<int>(form.attention) << static_cast<int>(form.merge);
  }
}

// What stands behind a text and what shares its batch changes nothing; weights there are 0.
TEST(LstmClassifier, ATextIsItsOwn) {
  for (const PoolingKind attention : {PoolingKind::additive, PoolingKind::zhou, PoolingKind::dot}) {
    LstmClassifierOptions o = small();
    o.attention = attention;
    ParameterStore store(1, DType::f64);
    const LstmClassifier model(store.root(), 5, o, {.classes = 3});
    const auto both = model(kWords, padded({3, 2}, 3), {}), alone = model(ids_of({3, 1}), padded({2}, 2), {});
    expect_close(select(both.logits, 0, 1).to_vector(), alone.logits.to_vector(), 1e-13, "logits");
    EXPECT_EQ(both.weights.to_vector()[5], 0);
    EXPECT_THROW(model(ids_of({3, 1}), token_layout(std::vector<std::int64_t>{2}, 2, true, Align::left), {}), ShapeError);
  }
}

// A text whose words all fall is a text of unknown words; out of training none falls.
TEST(LstmClassifier, WordDropoutPutsTheUnknownToken) {
  LstmClassifierOptions o = small();
  o.word_dropout = .999999;
  ParameterStore store(1, DType::f64);
  const LstmClassifier model(store.root(), 5, o, {.classes = 3, .unknown = 4});
  const TokenLayout layout = padded({3}, 3);
  const auto logits = [&](const std::vector<std::int64_t>& ids, bool training) {
    return model(ids_of(ids), layout, {.training = training, .seed = 1, .token_ids = layout.keys}).logits.to_vector();
  };
  EXPECT_EQ(logits({1, 2, 3}, true), logits({4, 4, 4}, false));
  EXPECT_NE(logits({1, 2, 3}, false), logits({4, 4, 4}, false));
}

// ---- sequence to sequence

struct Seq2Seq {
  explicit Seq2Seq(const LstmSeq2SeqOptions& o, DType dtype = DType::f64)
      : store(1, dtype), model(store.root(), {.source = 7, .target = 6}, o) {}
  ParameterStore store;
  LstmSeq2Seq model;
};
LstmSeq2SeqOptions tiny(ScoreKind score = ScoreKind::general) {
  return {.embedding = 3,
          .hidden_size = 2,
          .decoder_size = score == ScoreKind::dot ? 4 : 0,
          .score = score,
          .embedding_dropout = 0,
          .output_dropout = 0};
}
const TokenLayout kSources = padded({3, 2}, 3), kTargets = padded({3, 2}, 3);
const Tensor kSourceIds = ids_of({3, 5, 6, 2, 4, 0}), kTargetIds = ids_of({1, 4, 5, 1, 3, 0});

TEST(LstmSeq2Seq, GivesTheHandCheckedNumbers) {
  in_both_precisions([](DType dtype, double) {
    Seq2Seq s(tiny(), dtype);
    int t = 0;
    for (const char* name :
         {"source_embedding/weight", "target_embedding/weight", "encoder/0/forward/input/weight", "encoder/0/forward/state/weight",
          "encoder/0/forward/input/bias", "encoder/0/forward/state/bias", "encoder/0/backward/input/weight",
          "encoder/0/backward/state/weight", "encoder/0/backward/input/bias", "encoder/0/backward/state/bias", "decoder/input/weight",
          "decoder/state/weight", "decoder/input/bias", "decoder/state/bias", "h_projection/weight", "c_projection/weight",
          "attention/projection/weight", "combined/weight", "vocabulary/weight"}) {
      const Parameter& p = s.store.find(name);
      set_values(p.write(), sines(t++, 0, static_cast<int>(p.value().numel())));
    }
    ASSERT_EQ(t, static_cast<int>(s.store.parameters().size()));
    const auto decoded = s.model.decode(s.model.encode(kSourceIds, kSources, {}), kTargetIds, kTargets, {});
    const std::vector<double> log_p = log_softmax(s.model.logits(decoded.outputs), -1).to_vector();  // [2, 3, 6]
    const auto at = [&](std::size_t b, std::size_t step, std::size_t word) { return log_p[(b * 3 + step) * 6 + word]; };
    expect_rounded({at(0, 0, 4) + at(0, 1, 5) + at(0, 2, 2), at(1, 0, 3) + at(1, 1, 2)}, {-5.378349, -3.599828}, 6, "log p");
    expect_rounded(select(decoded.weights, 1, 0).to_vector(), {.333152, .333291, .333557, .499899, .500101, 0}, 6, "weights");
  });
}

TEST(LstmSeq2Seq, GradientsEqualCentralDifferences) {
  using enum ScoreKind;
  for (const auto& [score, sampling] : {std::pair{general, 0.}, {general, 1.}, {additive, 0.}, {dot, 0.}}) {
    LstmSeq2SeqOptions o = tiny(score);
    o.embedding_dropout = .2, o.output_dropout = .2, o.scheduled_sampling = sampling;
    const LayerBuilder build = [&](const Scope& s) {
      return [l = LstmSeq2Seq(s, {.source = 7, .target = 6}, o)](Inputs) {
        const auto run = [](const TokenLayout& layout) { return nn::Run{.training = true, .seed = 3, .token_ids = layout.keys}; };
        return l.logits(l.decode(l.encode(kSourceIds, kSources, run(kSources)), kTargetIds, kTargets, run(kTargets)).outputs);
      };
    };
    EXPECT_EQ(gradient_errors(build, {}), "") << static_cast<int>(score) << " " << sampling;
  }
}

// Decoding step by step is teacher forcing; rows can be exchanged between steps, as beams are.
TEST(LstmSeq2Seq, StepsAreTheSequence) {
  for (const ScoreKind score : {ScoreKind::general, ScoreKind::additive, ScoreKind::dot}) {
    const Seq2Seq s(tiny(score));
    auto [memory, state] = s.model.encode(kSourceIds, kSources, {});
    const auto decoded = s.model.decode({memory, state}, kTargetIds, kTargets, {});
    const Tensor whole = s.model.logits(decoded.outputs), exchanged = ids_of({1, 0});
    for (std::int64_t t = 0; t < 3; ++t) {
      Tensor tokens = select(reshape(kTargetIds, {2, 3}), 1, t).contiguous();
      const bool odd = t % 2 == 1;
      if (t > 0) state = rows_of(state, exchanged), memory = rows_of(memory, exchanged);
      if (odd) tokens = index_select(tokens, 0, exchanged);
      const auto step = s.model.step(tokens, state, memory);
      const auto in_order = [&](const Tensor& x) { return (odd ? index_select(x, 0, exchanged) : x).to_vector(); };
      expect_close(in_order(step.logits), select(whole, 1, t).to_vector(), 1e-13, "logits");
      expect_close(in_order(step.weights), select(decoded.weights, 1, t).to_vector(), 1e-13, "weights");
      state = step.state;
    }
  }
}

// With probability 1 a step of training reads the best word of the step before, so the target's words but the first do not matter.
TEST(LstmSeq2Seq, ScheduledSamplingReadsItsOwnWords) {
  LstmSeq2SeqOptions o = tiny();
  o.scheduled_sampling = 1;
  const Seq2Seq s(o);
  const auto outputs = [&](const std::vector<std::int64_t>& ids, bool training) {
    const nn::Run run{.training = training, .seed = 1, .token_ids = kTargets.keys};
    return s.model.decode(s.model.encode(kSourceIds, kSources, {}), ids_of(ids), kTargets, run).outputs.to_vector();
  };
  EXPECT_EQ(outputs({1, 4, 5, 1, 3, 0}, true), outputs({1, 2, 3, 1, 5, 4}, true));
  EXPECT_NE(outputs({1, 4, 5, 1, 3, 0}, false), outputs({1, 2, 3, 1, 5, 4}, false));
  std::vector<std::int64_t> own{1, 0, 0, 1, 0, 0};
  for (std::size_t t = 1; t < 3; ++t) {
    Tensor all(Shape{2, 3, 2}, DType::f64);
    set_values(all, outputs(own, false));
    const Tensor best = argmax(s.model.logits(select(all, 1, static_cast<std::int64_t>(t) - 1)), -1);
    for (std::size_t b = 0; b < 2; ++b) own[b * 3 + t] = best.data<const std::int64_t>()[b];
  }
  expect_close(outputs({1, 4, 5, 1, 3, 0}, true), outputs(own, false), 1e-13, "own words");
}

TEST(LstmSeq2Seq, RefusesWhatDoesNotFit) {
  const Seq2Seq s(tiny());
  const auto source = s.model.encode(kSourceIds, kSources, {});
  EXPECT_THROW(s.model.decode(source, ids_of({1}), padded({1}, 1), {}), ShapeError);
  LstmSeq2SeqOptions o = tiny();
  o.score = ScoreKind::dot;
  EXPECT_THROW(Seq2Seq{o}, ConfigError);  // states of the encoder are twice as wide
}

// ---- kernel regression

TEST(KernelRegression, GivesTheHandCheckedNumbers) {
  in_both_precisions([](DType dtype, double) {
    using enum KernelRegression::Form;
    ParameterStore store(1, dtype);
    const KernelRegression model(store.root());
    const auto tensor = [&](const std::vector<double>& values, const Shape& shape) {
      Tensor t(shape, dtype);
      set_values(t, values);
      return t;
    };
    const Tensor keys = tensor({0, 1, 2, 4}, {4}), values = tensor({1, 2, 0, 3}, {4}), x = tensor({.5, 3}, {2});
    const auto [y, weights] = model(x, keys, values, nonparametric);
    expect_rounded(y.to_vector(), {1.268769, 1.545688}, 6, "w = 1");
    expect_rounded(select(weights, 0, 0).to_vector(), {.421877, .421877, .1552, .001046}, 6, "weights");
    set_values(store.find("inverse_width").write(), {2});
    expect_rounded(model(x, keys, values).values.to_vector(), {1.486388, 1.500619}, 6, "w = 2");

    set_values(store.find("inverse_width").write(), {1});
    const Tensor others = tensor({1, 2, 4, 0, 2, 4, 0, 1, 4, 0, 1, 2}, {4, 3}),
                 of_others = tensor({2, 0, 3, 1, 0, 3, 1, 2, 3, 1, 2, 0}, {4, 3});
    Tape tape;
    const Tensor loss = sum(square(sub(model(keys, others, of_others).values, values)), {0});
    const Gradients gradients = tape.backward(loss);
    expect_rounded(loss.to_vector(), {14.688332}, dtype == DType::f64 ? 6 : 5, "loss");
    expect_rounded(dense(gradients.of(model.inverse_width().value()), dtype).to_vector(), {5.767029}, dtype == DType::f64 ? 6 : 5,
                   "d loss / d w");
    EXPECT_THROW(model(x, keys, others), ShapeError);
  });
}

TEST(KernelRegression, GradientsEqualCentralDifferences) {
  const LayerBuilder build = [](const Scope& s) { return [l = KernelRegression(s)](Inputs in) { return l(in[0], in[1], in[2]).values; }; };
  EXPECT_EQ(gradient_errors(build, {random_input({3}), random_input({3, 4}, 2), random_input({3, 4}, 3)}), "");
}

}  // namespace
}  // namespace capstan::nn
