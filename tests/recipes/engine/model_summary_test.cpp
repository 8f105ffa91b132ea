// The table of a model: blocks in one line, and whose the work of an operation is.
#include "recipes/engine/profile/model_summary.h"

#include <gmock/gmock.h>

#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/checkpoint.h"
#include "nn/linear.h"

namespace capstan::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> paths_of(std::span<const LayerLine> lines) {
  std::vector<std::string> paths;
  for (const LayerLine& line : lines) paths.push_back(std::string(2 * line.depth, ' ') + line.path);
  return paths;
}

const LayerLine& line_of(std::span<const LayerLine> lines, std::string_view path) {
  return *std::ranges::find(lines, path, &LayerLine::path);
}

TEST(ModelSummary, BlocksThatAreAlikeAreOneLine) {
  nn::ParameterStore store(1);
  const auto block = [&](std::string_view name, std::int64_t width) {
    const nn::Linear query(store.root() / "encoder" / name / "query", {.in = 4, .out = width});
    store.root().parameter(join_text("encoder/", name, "/scale"), {2}, nn::zeros(), {.trainable = false});
  };
  store.root().parameter("class_token", {4}, nn::zeros());
  for (const char* name : {"layer_0", "layer_1", "layer_2"}) block(name, 4);
  block("layer_3", 8);
  block("norm1", 4);
  const nn::Linear head(store.root() / "head", {.in = 4, .out = 3});
  const auto lines = layer_lines(store.parameters(), {});
  EXPECT_THAT(paths_of(lines), ElementsAre("class_token", "encoder/layer_0..2", "  encoder/layer_0..2/query", "encoder/layer_3",
                                           "  encoder/layer_3/query", "encoder/norm1/query", "encoder/norm1", "head"))
      << "a name that ends with a digit is no number of a block";
  const LayerLine& folded = line_of(lines, "encoder/layer_0..2");
  EXPECT_EQ(folded.count, 3);
  EXPECT_EQ(folded.parameters, 3 * (4 * 4 + 4 + 2));
  EXPECT_EQ(folded.fixed, 3 * 2);
  EXPECT_EQ(folded.tensors, "scale f32[2] fixed");
  EXPECT_EQ(line_of(lines, "encoder/layer_0..2/query").tensors, "weight f32[4, 4]; bias f32[4]");

  const std::string table = layer_table(lines, 200);
  EXPECT_THAT(table, AllOf(HasSubstr("\nencoder/layer_0..2 "), HasSubstr("\n  query "), HasSubstr("\nall  "), HasSubstr("100.0 %")));
  EXPECT_EQ(layer_table(lines, 20).find(std::string(21, 'x')), std::string::npos);
  EXPECT_THAT(parameter_lines(store.parameters()),
              AllOf(HasSubstr("encoder/layer_1/query/weight  f32[4, 4]\n"), HasSubstr("encoder/layer_2/scale  f32[2]  fixed\n")));

  // What makes them differ: a rate, a number that is missing.
  store.scale_learning_rate("encoder/layer_1", 0.5);
  EXPECT_EQ(paths_of(layer_lines(store.parameters(), {}))[1], "encoder/layer_0");
  EXPECT_THAT(layer_table(layer_lines(store.parameters(), {}), 200), HasSubstr("weight f32[4, 4] rate x 0.5; bias f32[4] rate x 0.5"));
}

struct LayerWorkTest : testing::Test {
  static constexpr std::int64_t kRows = 32, kWide = 16;
  nn::ParameterStore store{1};
  nn::Linear linear(std::string_view name) { return nn::Linear(store.root() / "blocks" / 0 / name, {.in = kWide, .out = kWide}); }

  /// Of a forward and a backward pass, each a phase as in a step.
  std::map<std::string, LayerWork> work_of(const std::function<Tensor(const Tensor& x)>& model,
                                           std::vector<std::string>* inputs = nullptr) {
    const Tensor x = Tensor::full({kRows, kWide}, 0.5);
    const OperationLog log;
    Tape tape;
    const Tensor loss = [&] {
      const profile::Scope scope("forward", profile::Kind::phase);
      return sum(model(x));
    }();
    {
      const profile::Scope scope("backward", profile::Kind::phase);
      tape.backward(loss);
    }
    if (inputs != nullptr) *inputs = inputs_of_pass(log.events(), log.operations(), store.parameters());
    return work_of_layers(log.events(), log.operations(), store.parameters());
  }
};

TEST_F(LayerWorkTest, AnOperationBelongsToTheLayerWhoseParametersItReads) {
  const nn::Linear query = linear("attention/query"), key = linear("attention/key"), output = linear("attention/output");
  const Parameter table = store.root().parameter("table/weight", {kWide, kWide}, nn::glorot_uniform()),
                  bias = store.root().parameter("head/bias", {kWide}, nn::zeros());
  store.freeze("blocks/0/attention/query");
  std::vector<std::string> inputs;
  const auto work = work_of(
      [&](const Tensor& x) {
        const Tensor first = query(capstan::linear(x, table.value()));
        const Tensor scores = matmul(first, transpose(key(first), 0, 1));
        return capstan::linear(output(matmul(scores, first)), table.value(), bias.value());
      },
      &inputs);
  const double product = 2.0 * kRows * kWide * kWide, scores = 2.0 * kRows * kRows * kWide;
  EXPECT_EQ(work.at("table").forward, 2 * product) << "a head that is tied to a table is the table's work";
  EXPECT_EQ(work.at("table").backward, 3 * product) << "the first one's operand is a constant";
  EXPECT_EQ(work.at("blocks/0/attention/query").forward, product);
  EXPECT_EQ(work.at("blocks/0/attention/query").backward, product) << "a fixed weight has no gradient";
  EXPECT_EQ(work.at("blocks/0/attention/key").backward, 2 * product);
  EXPECT_EQ(work.at("blocks/0/attention").forward, 2 * scores) << "what reads no parameter lies between those before and after it";
  EXPECT_EQ(work.at("blocks/0/attention").backward, 4 * scores);
  EXPECT_FALSE(work.contains("")) << "and nothing is left over";
  EXPECT_THAT(inputs, ElementsAre("f32[32, 16] (linear)"));

  const auto lines = layer_lines(store.parameters(), work);
  EXPECT_THAT(paths_of(lines), ElementsAre("blocks/0", "  blocks/0/attention", "  blocks/0/attention/query", "  blocks/0/attention/key",
                                           "  blocks/0/attention/output", "table", "head"));
  EXPECT_EQ(lines[0].work.forward, 3 * product + 2 * scores);
  EXPECT_EQ(lines[1].parameters, 0);
}

TEST_F(LayerWorkTest, WhatIsComputedAgainDoesNotCount) {
  const nn::Linear query = linear("query");
  const auto plain = work_of([&](const Tensor& x) { return query(x); });
  const auto again =
      work_of([&](const Tensor& x) { return checkpoint([&](std::span<const Tensor> in) { return std::vector{query(in[0])}; }, {x})[0]; });
  EXPECT_EQ(again.at("blocks/0/query").forward, plain.at("blocks/0/query").forward);
  EXPECT_EQ(again.at("blocks/0/query").backward, plain.at("blocks/0/query").backward);
}

}  // namespace
}  // namespace capstan::engine
