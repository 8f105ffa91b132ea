// At which depth the parameters of a model stand, for layer-wise decay of the learning rate: embeddings, layers, and what is behind them.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "nn/models/bert_heads.h"
#include "nn/models/sasrec.h"
#include "nn/models/vit.h"
#include "nn/parameter_store.h"

namespace capstan::nn {
namespace {

/// With decay 1/2 the factor on the rate of a parameter is 2^-(layers + 1 - depth).
void expect_factors(const ParameterStore& store, const std::map<std::string, double>& expected) {
  store.decay_learning_rate_by_depth(.5);
  for (const Parameter& p : store.parameters()) {
    const auto longest = [&] {
      const std::pair<const std::string, double>* best = nullptr;
      for (const auto& entry : expected)
        if (p.name().starts_with(entry.first) && (best == nullptr || entry.first.size() > best->first.size())) best = &entry;
      return best;
    }();
    ASSERT_NE(longest, nullptr) << p.name();
    EXPECT_EQ(p.learning_rate_scale(), longest->second) << p.name();
  }
}

TEST(LayerDecay, OfBert) {
  const BertOptions options{.layers = 2, .hidden_size = 8, .heads = 2, .intermediate_size = 16, .max_positions = 16};
  ParameterStore pretraining, classifier;
  const BertPretraining model(pretraining.root(), 40, options);
  expect_factors(
      pretraining,
      {{"bert/embeddings/", .125}, {"bert/encoder/layer_0/", .25}, {"bert/encoder/layer_1/", .5}, {"bert/pooler/", 1}, {"cls/", 1}});
  EXPECT_EQ(model.word_table().learning_rate_scale(), .125) << "the table that the decoder shares is an embedding";
  const BertClassifier tuned(classifier.root(), 40, options, {.classes = 3});
  expect_factors(
      classifier,
      {{"bert/", 1}, {"bert/embeddings/", .125}, {"bert/encoder/layer_0/", .25}, {"bert/encoder/layer_1/", .5}, {"classifier/", 1}});
}

TEST(LayerDecay, OfVit) {
  for (const VitStem stem : {VitStem::patches, VitStem::convolutions}) {
    ParameterStore store;
    const Vit model(store.root(), {.image_size = 32,
                                   .classes = 3,
                                   .patch_size = 2,
                                   .hidden_size = 8,
                                   .layers = 3,
                                   .heads = 2,
                                   .mlp_size = 16,
                                   .stem = stem,
                                   .stem_channels = {4, 8},
                                   .stem_strides = {2, 2},
                                   .representation_size = 4});
    expect_factors(store, {{"stem/", .0625},
                           {"patches/", .0625},
                           {"class_token", .0625},
                           {"positions", .0625},
                           {"encoder/0/", .125},
                           {"encoder/1/", .25},
                           {"encoder/2/", .5},
                           {"encoder/norm/", 1},
                           {"representation/", 1},
                           {"head/", 1}});
  }
}

TEST(LayerDecay, OfSasrec) {
  ParameterStore store;
  const Sasrec model(store.root(), 10, {.hidden_size = 8, .blocks = 2, .heads = 1});
  expect_factors(store,
                 {{"item_embedding/", .125}, {"position_embedding/", .125}, {"blocks/0/", .25}, {"blocks/1/", .5}, {"last_norm/", 1}});
}

}  // namespace
}  // namespace capstan::nn
