// The transformer from tokens to tokens: gradients, padding, dropout, and which tables are one.
#include "nn/models/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "tests/message_of.h"
#include "tests/nn/gradient_check.h"

namespace capstan::nn {
namespace {

using ::testing::HasSubstr;
using Tokens = TransformerModel::Tokens;

Tokens tokens(const std::vector<std::int64_t>& ids, const std::vector<std::uint8_t>& real, std::int64_t rows, std::int64_t first_key = 0) {
  const Shape shape{rows, static_cast<std::int64_t>(ids.size()) / rows};
  std::vector<std::int64_t> keys;
  for (std::size_t i = 0; i < ids.size(); ++i) keys.push_back(first_key + static_cast<std::int64_t>(i));
  return {.ids = Tensor::from(ids, shape), .real = Tensor::from(real, shape), .keys = Tensor::from(keys, {shape.numel()})};
}

const Tokens kSource = tokens({4, 2, 5, 3, 1, 0}, {1, 1, 1, 1, 1, 0}, 2), kTarget = tokens({2, 4, 2, 5}, {1, 1, 1, 1}, 2);

TransformerModelOptions small(TiedTables tied) {
  return {.encoder_layers = 1,
          .decoder_layers = 1,
          .hidden_size = 4,
          .heads = 2,
          .kv_heads = 1,
          .intermediate_size = 6,
          .activation = Activation::gelu,
          .dropout = .1,
          .attention_dropout = .1,
          .activation_dropout = .1,
          .max_positions = 8,
          .tied = tied};
}

TEST(TransformerModel, HasRightGradients) {
  for (const TiedTables tied : {TiedTables::all, TiedTables::none}) {
    TransformerModelOptions options = small(tied);
    options.pre_norm = tied == TiedTables::none;
    options.positions = tied == TiedTables::none ? PositionKind::learned : PositionKind::sinusoidal;
    EXPECT_EQ(gradient_errors(
                  [&](const Scope& scope) {
                    return [model = TransformerModel(scope, {6, 6}, options)](Inputs) {
                      const nn::Run run{.training = true, .seed = 2};
                      const Tensor h = model.decode(kTarget, model.encode(kSource, run), kSource, run);
                      return matmul(reshape(h, {4, 4}), transpose(model.output_table().value(), 0, 1));
                    };
                  },
                  {}),
              "");
  }
}

TEST(TransformerModel, NeitherPaddingNorCompanyChangesASequence) {
  ParameterStore store(1, DType::f64);
  const TransformerModel model(store.root(), {6, 6}, small(TiedTables::all));
  const nn::Run run{.training = true, .seed = 2};
  const Tensor both = model.decode(kTarget, model.encode(kSource, run), kSource, run);
  const Tokens source = tokens({3, 1}, {1, 1}, 1, 3), target = tokens({2, 5}, {1, 1}, 1, 2);
  const Tensor alone = model.decode(target, model.encode(source, run), source, run);
  expect_close(alone.to_vector(), slice(both, 0, 1, 1).to_vector(), 1e-13, "the second pair");
}

TEST(TransformerModel, ShowsItsAttentionToTheSource) {
  ParameterStore store(1, DType::f64);
  const TransformerModel model(store.root(), {6, 6}, small(TiedTables::all));
  const Tensor memory = model.encode(kSource, {});
  const auto [h, weights] = model.decode_with_attention(kTarget, memory, kSource, {});
  EXPECT_EQ(weights.shape(), (Shape{2, 2, 2, 3}));
  expect_close(h.to_vector(), model.decode(kTarget, memory, kSource, {}).to_vector(), 1e-13, "hidden states");
  EXPECT_EQ(weights.to_vector()[1 * 12 + 2], 0) << "of the second source's padding";
}

TEST(TransformerModel, SharesTheTablesItIsToldTo) {
  const auto names = [](TiedTables tied) {
    ParameterStore store(1);
    const TransformerModel model(store.root(), {6, 6}, small(tied));
    std::string all;
    for (const Parameter& p : store.parameters())
      if (p.name().find("coder/") == std::string::npos) all += p.name() + " ";
    return all;
  };
  EXPECT_EQ(names(TiedTables::all), "embedding/weight ");
  EXPECT_EQ(names(TiedTables::output), "source_embedding/weight target_embedding/weight ");
  EXPECT_EQ(names(TiedTables::none), "source_embedding/weight target_embedding/weight output/weight ");
  ParameterStore store(1);
  EXPECT_THAT(message_of([&] { TransformerModel(store.root(), {6, 7}, small(TiedTables::all)); }), HasSubstr("got 6 and 7 tokens"));
  const TransformerModel model(store.root() / "b", {6, 7}, small(TiedTables::output));
  EXPECT_THAT(message_of([&] { model.encode(tokens(std::vector<std::int64_t>(9), std::vector<std::uint8_t>(9, 1), 1), {}); }),
              HasSubstr("length 9, max_positions 8"));
}

}  // namespace
}  // namespace capstan::nn
