// The transformer that translates as programs around torch.nn.Transformer keep it: in and out with every tying of its tables.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nn/models/transformer.h"
#include "recipes/formats/transformer.h"
#include "tests/message_of.h"
#include "tests/recipes/formats/foreign_fixtures.h"

namespace capstan::formats {
namespace {

using nn::ParameterStore;
using nn::TiedTables;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

nn::TransformerModelOptions small(TiedTables tied) {
  return {.encoder_layers = 2,
          .decoder_layers = 1,
          .hidden_size = 4,
          .heads = 2,
          .intermediate_size = 6,
          .pre_norm = tied == TiedTables::none,
          .max_positions = 8,
          .tied = tied};
}

TEST(ForeignTransformer, OutAndInAgain) {
  for (const TiedTables tied : {TiedTables::all, TiedTables::output, TiedTables::none}) {
    const nn::TransformerModelOptions o = small(tied);
    const auto forms = transformer_forms(o);
    ParameterStore store(1), other(2);
    const nn::TransformerModel model(store.root(), {6, 6}, o), copy(other.root(), {6, 6}, o);
    auto tensors = nn::translated_back(forms[0].names({}), store);
    // As a state_dict has them: every table, whatever they share, and the positions.
    std::map<std::string, Tensor> by_name(tensors.begin(), tensors.end());
    EXPECT_EQ(by_name.at("transformer.decoder.layers.0.multihead_attn.in_proj_weight").shape(), (Shape{12, 4}));
    EXPECT_EQ(by_name.at("transformer.encoder.norm.weight").shape(), (Shape{4}));
    by_name.emplace("tgt_tok_emb.embedding.weight", by_name.at("src_tok_emb.embedding.weight"));
    by_name.emplace("generator.weight", by_name.at("tgt_tok_emb.embedding.weight"));
    by_name.emplace("positional_encoding.pos_embedding", Tensor::zeros({9, 1, 4}, DType::f32));
    const data::Scratch scratch;
    const std::string path = written(scratch, {by_name.begin(), by_name.end()});
    EXPECT_EQ(engine::foreign_weights(path, forms, other, "translate").form, "torch.nn.Transformer");
    EXPECT_THAT(load(path, forms, other).fresh, IsEmpty());
    expect_same(other, store);
    if (tied == TiedTables::none) continue;
    by_name["generator.weight"] = Tensor::full({6, 4}, 1, DType::f32);
    EXPECT_THAT(message_of<CheckpointError>([&] {
                  load(written(scratch, {by_name.begin(), by_name.end()}), forms, other);
                }),
                HasSubstr("generator.weight is not "));
  }
}

TEST(ForeignTransformer, SaysWhatItCannotHold) {
  nn::TransformerModelOptions o = small(TiedTables::all);
  const auto forms = transformer_forms(o);
  EXPECT_NO_THROW(forms[0].require_writable());
  o.kv_heads = 1;
  EXPECT_THAT(message_of<ConfigError>([&] { forms[0].require_writable(); }), HasSubstr("model.kv_heads = 0"));
  o.kv_heads = 0;
  o.positions = nn::PositionKind::learned;
  EXPECT_THROW(forms[0].require_writable(), ConfigError);
  // A bias behind the output table would change what it computes.
  o.positions = nn::PositionKind::sinusoidal;
  ParameterStore store;
  const nn::TransformerModel model(store.root(), {6, 6}, o);
  auto tensors = nn::translated_back(forms[0].names({}), store);
  tensors.emplace_back("generator.bias", Tensor::zeros({6}, DType::f32));
  const data::Scratch scratch;
  EXPECT_THAT(message_of<CheckpointError>([&] { load(written(scratch, tensors), forms, store); }),
              HasSubstr("unexpected: generator/bias f32[6]"));
}

}  // namespace
}  // namespace capstan::formats
