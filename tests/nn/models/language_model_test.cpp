// The language model: what it is made of, that it sees no later token, and every gradient.
#include "nn/models/language_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/matmul.h"
#include "tests/message_of.h"
#include "tests/nn/gradient_check.h"

namespace capstan::nn {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kVocabulary = 11;

LanguageModelOptions small(FeedForwardKind activation, NormKind norm, LanguagePositions positions) {
  return {.layers = 2,
          .hidden_size = 8,
          .heads = 4,
          .kv_heads = 2,
          .intermediate_size = 6,
          .activation = activation,
          .norm = norm,
          .bias = norm == NormKind::layer,
          .positions = positions,
          .max_positions = 5,
          .tied = norm == NormKind::rms};
}

const std::vector<LanguageModelOptions>& kinds() {
  static const std::vector<LanguageModelOptions> all{small(FeedForwardKind::swiglu, NormKind::rms, LanguagePositions::rotary),
                                                     small(FeedForwardKind::gelu_tanh, NormKind::layer, LanguagePositions::learned),
                                                     small(FeedForwardKind::geglu, NormKind::rms, LanguagePositions::sinusoidal)};
  return all;
}

Tensor ids(const std::vector<std::int64_t>& tokens) { return Tensor::from(tokens, {1, std::ssize(tokens)}); }

TEST(LanguageModel, SeesNoLaterToken) {
  for (const LanguageModelOptions& o : kinds()) {
    ParameterStore store(3, DType::f64);
    const LanguageModel model(store.root(), kVocabulary, o);
    const std::vector<double> all = model.hidden(ids({4, 1, 7, 7, 2}), {}, {}).to_vector(),
                              other = model.hidden(ids({4, 1, 7, 3, 9}), {}, {}).to_vector(),
                              first = model.hidden(ids({4, 1}), {}, {}).to_vector();
    for (std::size_t i = 0; i < 3 * 8; ++i) EXPECT_EQ(all[i], other[i]) << i;
    for (std::size_t i = 0; i < 2 * 8; ++i) EXPECT_NEAR(all[i], first[i], 1e-14) << i;
    EXPECT_GT(std::abs(all[3 * 8] - other[3 * 8]), 1e-3);
    EXPECT_GT(std::abs(all[3 * 8] - all[2 * 8]), 1e-3) << "the same token at the next place";
  }
}

TEST(LanguageModel, HasTheParametersOfItsKind) {
  ParameterStore llama, gpt;
  LanguageModelOptions o = kinds()[0];
  o.layers = 1;
  const LanguageModel model(llama.root(), kVocabulary, o);
  std::vector<std::string> names;
  for (const Parameter& p : llama.parameters()) names.push_back(p.name());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("embedding/weight", "layers/0/attention/query/weight", "layers/0/attention/key/weight",
                                                     "layers/0/attention/value/weight", "layers/0/attention/output/weight",
                                                     "layers/0/attention_norm/weight", "layers/0/feed_forward/inner/weight",
                                                     "layers/0/feed_forward/outer/weight", "layers/0/feed_forward/gate/weight",
                                                     "layers/0/feed_forward_norm/weight", "layers/norm/weight"));
  EXPECT_EQ(llama.find("layers/0/attention/key/weight").shape(), (Shape{4, 8}));
  EXPECT_EQ(cache_numbers(o), 2 * 2 * 2);
  const LanguageModel other(gpt.root(), kVocabulary, kinds()[1]);
  EXPECT_EQ(gpt.find("positions").shape(), (Shape{5, 8}));
  EXPECT_EQ(gpt.find("output/weight").shape(), (Shape{kVocabulary, 8}));
  EXPECT_EQ(gpt.find("layers/norm/bias").shape(), (Shape{8}));
}

TEST(LanguageModel, HasRightGradients) {
  for (LanguageModelOptions o : kinds()) {
    o.layers = 1, o.dropout = o.attention_dropout = .2;
    EXPECT_EQ(
        gradient_errors(
            [&](const Scope& scope) {
              return [model = LanguageModel(scope, kVocabulary, o)](Inputs) {
                return linear(model.hidden(ids({4, 1, 7, 7, 2}), {}, {.training = true, .seed = 3}), model.output_table().value(), {});
              };
            },
            {}),
        "");
  }
}

TEST(LanguageModel, SaysWhatDoesNotFit) {
  const auto message = [](LanguageModelOptions o) { return message_of<ConfigError>([&] { o.validate(); }); };
  EXPECT_THAT(message({.hidden_size = 10, .heads = 4}), HasSubstr("model.hidden_size must be a multiple of model.heads, got 10 and 4"));
  EXPECT_THAT(message({.hidden_size = 8, .heads = 4, .kv_heads = 3}), HasSubstr("model.kv_heads, got 4 and 3"));
  EXPECT_THAT(message({.hidden_size = 12, .heads = 4}), HasSubstr("rotary positions need an even width of a head"));
  ParameterStore store;
  const LanguageModel model(store.root(), kVocabulary, kinds()[0]);
  EXPECT_THAT(message_of<ShapeError>([&] { model.hidden(ids({1, 2, 3, 4, 5, 6}), {}, {}); }), HasSubstr("max_positions 5"));
}

}  // namespace
}  // namespace capstan::nn
