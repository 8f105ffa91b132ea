// The BERT network against numbers computed by hand; its parameters. tests/recipes/tasks/masked_lm/losses_test.cpp has its losses.
#include "nn/models/bert_heads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/close.h"
#include "tests/nn/gradient_check.h"
#include "tests/nn/models/bert_fixtures.h"

namespace capstan::nn {
namespace {

/// Two sequences of 8 and 10 tokens, padded to 10.
struct WorkedInput {
  Tensor ids = Tensor::from<std::int64_t>({2, 5, 4, 7, 3, 8, 4, 3, 0, 0, 2, 10, 3, 4, 12, 13, 14, 15, 16, 3}, {20});
  Tensor segments = Tensor::from<std::int64_t>({0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, {20});
  TokenLayout layout = token_layout(std::vector<std::int64_t>{8, 10}, 10, /*packed=*/false, Align::left);
};

double sum_of(const std::vector<double>& v, bool absolute = false) {
  double sum = 0;
  for (const double x : v) sum += absolute ? std::abs(x) : x;
  return sum;
}

TEST(Bert, ComputesTheWorkedExample) {
  ParameterStore store(1, DType::f64);
  const BertEncoder model(store.root(), 20, worked_options(Activation::gelu), {});
  fill_bert_by_formula(store);
  const WorkedInput in;
  const Tensor x = model.encode(in.ids, in.segments, in.layout, {});
  const auto values = x.to_vector();
  expect_rounded({values.begin() + 8, values.begin() + 16}, {.890086, .772581, .462452, .469799, .248486, -.761089, -1.703772, -1.204916},
                 6, "sequence[0, 1]");
  EXPECT_NEAR(sum_of(values), 2.139546, 2e-6);
  EXPECT_NEAR(sum_of(values, true), 143.313984, 2e-6);
  const auto pooled = model.pooled(x, in.layout).to_vector();
  expect_rounded({pooled.begin(), pooled.begin() + 8}, {.456547, -.081661, -.549981, -.705772, -.634149, -.278703, .292672, .637462}, 6,
                 "pooled[0]");
  EXPECT_EQ(model.all_layers(in.ids, in.segments, in.layout, {}).back().to_vector(), values);
}

/// Parameters of encoder and pooler by formula: for sizes too large to be built in a test.
std::int64_t encoder_parameters(const BertOptions& o, std::int64_t vocabulary) {
  const std::int64_t h = o.hidden_size, inner = o.intermediate_size, norm = 2 * h;
  const std::int64_t layer = 4 * (h * h + h) + norm + (h * inner + inner) + (inner * h + h) + norm;
  return (vocabulary + o.max_positions + o.token_types) * h + norm + o.layers * layer + h * h + h;
}

TEST(Bert, HasTheParametersOfTheReleasedSizes) {
  struct Size {
    std::int64_t layers, width, heads, vocabulary, parameters;
  };
  for (const Size& s :
       {Size{2, 128, 2, 30522, 4385920}, Size{4, 256, 4, 30522, 11170560}, Size{4, 512, 8, 30522, 28763648},
        Size{8, 512, 8, 30522, 41373184}, Size{12, 768, 12, 30522, 109482240}, Size{24, 1024, 16, 30522, 335141888},
        Size{12, 768, 12, 21128, 102267648}, Size{12, 768, 12, 119547, 177853440}, Size{2, 128, 2, 21128, 4385920 - 9394 * 128}}) {
    const BertOptions options{.layers = s.layers, .hidden_size = s.width, .heads = s.heads, .intermediate_size = 4 * s.width};
    EXPECT_EQ(encoder_parameters(options, s.vocabulary), s.parameters);
    if (s.parameters > 20'000'000) continue;  // the small ones show that the formula is the model's
    ParameterStore store;
    const BertPretraining model(store.root(), s.vocabulary, options);
    const std::int64_t heads = s.width * s.width + 3 * s.width + s.vocabulary + 2 * s.width + 2;
    EXPECT_EQ(store.numel() - heads, s.parameters);
  }
}

TEST(Bert, NamesDecayAndStartOfParameters) {
  ParameterStore store(7);
  const BertPretraining model(store.root(), 50, worked_options(Activation::gelu));
  for (const Parameter& p : store.parameters()) {
    const auto values = p.value().to_vector();
    const bool plain = p.name().find("bias") != std::string::npos || p.name().find("LayerNorm/") != std::string::npos ||
                       p.name().find("_norm/") != std::string::npos;
    EXPECT_EQ(p.decay(), !plain) << p.name();
    const auto [low, high] = std::ranges::minmax(values);
    if (!plain) {
      EXPECT_GE(low, -0.04) << p.name();
      EXPECT_LE(high, 0.04) << p.name();
      EXPECT_GT(high - low, 0.02) << p.name();
    } else {
      EXPECT_EQ(low, p.name().ends_with("orm/weight") ? 1 : 0) << p.name();
      EXPECT_EQ(high, low) << p.name();
    }
  }
  for (const char* name :
       {"bert/embeddings/word_embeddings", "bert/embeddings/position_embeddings", "bert/embeddings/token_type_embeddings",
        "bert/embeddings/LayerNorm/weight", "bert/encoder/layer_1/attention/query/weight", "bert/encoder/layer_0/feed_forward/outer/bias",
        "bert/pooler/dense/weight", "cls/predictions/output_bias", "cls/predictions/transform/dense/weight",
        "cls/predictions/transform/LayerNorm/bias", "cls/seq_relationship/weight"})
    EXPECT_NO_THROW(store.find(name)) << name;
}

/// Two texts of three and two tokens in training, dropout on.
struct SmallInput {
  Tensor ids = Tensor::from<std::int64_t>({1, 4, 2, 3, 0}, {5});
  Tensor segments = Tensor::from<std::int64_t>({0, 1, 1, 0, 1}, {5});
  TokenLayout layout = token_layout(std::vector<std::int64_t>{3, 2}, 3, /*packed=*/true, Align::left);
  Run run{.training = true, .seed = 3, .token_ids = layout.keys};
};

BertOptions small_options() {
  return {.layers = 1,
          .hidden_size = 4,
          .heads = 2,
          .intermediate_size = 5,
          .max_positions = 5,
          .activation = Activation::tanh,
          .hidden_dropout = .2,
          .attention_dropout = .2};
}

TEST(BertClassifier, HasRightGradients) {
  const auto build = [](const Scope& scope) -> LayerFunction {
    return [m = BertClassifier(scope, 5, small_options(), {.classes = 3, .dropout = .3})](Inputs) {
      const SmallInput in;
      return m.logits(in.ids, in.segments, in.layout, in.run);
    };
  };
  EXPECT_EQ(gradient_errors(build, {}), "");
}

TEST(BertSpans, HasRightGradientsAndNoPooler) {
  const auto build = [](const Scope& scope) -> LayerFunction {
    return [m = BertSpans(scope, 5, small_options())](Inputs) {
      const SmallInput in;
      return m.logits(in.ids, in.segments, in.layout, in.run);
    };
  };
  EXPECT_EQ(gradient_errors(build, {}), "");
  ParameterStore store;
  const BertSpans model(store.root(), 5, small_options());
  for (const Parameter& p : store.parameters()) EXPECT_FALSE(p.name().starts_with("bert/pooler")) << p.name();
  const SmallInput in;
  EXPECT_THROW(model.encoder().pooled(model.encoder().encode(in.ids, in.segments, in.layout, {}), in.layout), InternalError);
}

TEST(Bert, RefusesSequencesBeyondItsPositions) {
  ParameterStore store;
  BertOptions options = worked_options(Activation::gelu);
  options.max_positions = 9;
  const BertEncoder model(store.root(), 20, options, {});
  const WorkedInput in;
  EXPECT_THROW(model.encode(in.ids, in.segments, in.layout, {}), ShapeError);
}

TEST(Bert, RefusesPackedSequencesWithRelativePositions) {
  ParameterStore store;
  BertOptions options = worked_options(Activation::gelu);
  options.positions = RelativePositions::key;
  options.packed = true;
  EXPECT_FALSE(options.reads_packed());
  const BertEncoder model(store.root(), 20, options, {});
  const TokenLayout packed = token_layout(std::vector<std::int64_t>{20}, 20, /*packed=*/true, Align::left);
  const WorkedInput in;
  EXPECT_THROW(model.encode(in.ids, in.segments, packed, {}), ShapeError);
}

}  // namespace
}  // namespace capstan::nn
