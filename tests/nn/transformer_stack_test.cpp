// Stacks of encoder and decoder layers against PyTorch, against their layers one by one, and with less work or memory.
#include "nn/transformer_stack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

using Encoder = TransformerStack<EncoderLayer>;
using Decoder = TransformerStack<DecoderLayer>;

Tensor i64(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

/// What `forward` gives: its output, and the gradients of inputs and parameters from a fixed cotangent.
template <class Forward>
std::vector<std::vector<double>> results(const ParameterStore& store, const std::vector<Tensor>& inputs, Forward&& forward) {
  Tape tape;
  const Tensor y = forward(), cotangent = cast(cosine(y.shape(), 1), y.dtype());
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
  std::vector<std::vector<double>> all{y.to_vector()};
  for (const Tensor& x : inputs) all.push_back(g.of(x).dense().to_vector());
  for (const Parameter& p : store.parameters()) all.push_back(g.of(p.value()).dense().to_vector());
  return all;
}

/// The biases of keys have no gradient but rounding.
void expect_same(const std::vector<std::vector<double>>& actual, const std::vector<std::vector<double>>& expected,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    expect_close(actual[i], expected[i], 1e-12, what + ", result " + std::to_string(i), /*absolute=*/1e-14);
}

TransformerStackOptions with_dropout(bool pre_norm) {
  return {.layers = 2,
          .layer = {.width = 6,
                    .heads = 2,
                    .inner = 10,
                    .pre_norm = pre_norm,
                    .dropout = .3,
                    .attention_dropout = .2,
                    .activation_dropout = .1,
                    .stochastic_depth = .3}};
}

TEST(TransformerStack, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const bool pre_norm : {false, true}) {
      const TransformerStackOptions options{.layers = 2, .layer = {.width = 4, .heads = 2, .inner = 6, .pre_norm = pre_norm}};
      const std::string form = pre_norm ? "pre" : "post";
      {
        const Golden golden("encoder/" + form, dtype);
        ParameterStore store(1, dtype);
        const Encoder encoder(store.root(), options);
        golden.expect(store, 10 * tolerance, [&] { return encoder(golden.input("x"), {.keys = golden.mask("key")}, {}); });
      }
      const Golden golden("decoder/" + form, dtype);
      ParameterStore store(1, dtype);
      const Decoder decoder(store.root(), options);
      const DecoderInputs inputs{.memory = golden.input("memory"), .memory_mask = {.keys = golden.mask("memory_key")}};
      golden.expect(store, 10 * tolerance, [&] { return decoder(golden.input("x"), inputs, {}); });
    }
  });
}

TEST(TransformerStack, IsItsLayersAndANormalisation) {
  for (const bool pre_norm : {false, true})
    for (const bool final_norm : {false, true}) {
      const TransformerLayerOptions options{.width = 6, .heads = 2, .inner = 10, .pre_norm = pre_norm, .epsilon = 1e-6};
      ParameterStore store(3, DType::f64), same(3, DType::f64);
      const Encoder encoder(store.root(), {.layers = 3, .layer = options, .final_norm = final_norm, .layer_name = "layer_"});
      std::vector<EncoderLayer> layers;
      for (std::int64_t i = 0; i < 3; ++i) layers.emplace_back(same.root() / ("layer_" + std::to_string(i)), options);
      std::optional<LayerNorm> norm;
      if (final_norm) norm.emplace(same.root() / "norm", LayerNormOptions{.width = 6, .epsilon = 1e-6});
      ASSERT_EQ(store.parameters().size(), same.parameters().size());
      for (std::size_t i = 0; i < store.parameters().size(); ++i) EXPECT_EQ(store.parameters()[i].name(), same.parameters()[i].name());

      const Tensor x = make_leaf(cosine({2, 4, 6}, 0));
      const AttentionMask mask{.keys = Tensor::from(std::vector<std::uint8_t>{1, 1, 1, 0, 1, 1, 1, 1}, {2, 4})};
      const auto stacked = results(store, {x}, [&] { return encoder(x, mask, {}); });
      const auto single = results(same, {x}, [&] {
        Tensor y = x;
        for (const EncoderLayer& layer : layers) y = layer(y, mask, {});
        return norm ? (*norm)(y) : y;
      });
      expect_same(stacked, single, "stacked");

      const Encoder::WithWeights both = encoder.with_weights(x, mask, {});
      expect_close(both.output.to_vector(), stacked[0], 1e-12, "with weights");
      ASSERT_EQ(both.weights.size(), 3u);
      EXPECT_EQ(both.weights[2].shape(), (Shape{2, 2, 4, 4}));

      const std::vector<Tensor> every = encoder.all_layers(x, mask, {});
      ASSERT_EQ(every.size(), 3u);
      Tensor y = x;
      for (std::size_t i = 0; i < 3; ++i) {
        y = layers[i](y, mask, {});
        expect_close(every[i].to_vector(), y.to_vector(), 1e-12, "layer " + std::to_string(i));
      }
    }
}

TEST(TransformerStack, OfNoLayersIsItsNormalisation) {
  const Tensor x = cosine({2, 4, 6}, 0);
  ParameterStore store(3, DType::f64), same(3, DType::f64);
  const TransformerLayerOptions layer{.width = 6, .heads = 2, .inner = 10, .pre_norm = true};
  const Encoder normalised(store.root() / "a", {.layer = layer}), nothing(store.root() / "b", {.layer = layer, .final_norm = false});
  const LayerNorm norm(same.root(), {.width = 6});
  EXPECT_EQ(normalised(x, {}, {}).to_vector(), norm(x).to_vector());
  EXPECT_EQ(normalised.first_token(x, {}, {}).to_vector(), select(norm(x), 1, 0).to_vector());
  EXPECT_EQ(nothing(x, {}, {}).to_vector(), x.to_vector());
}

TEST(TransformerStack, GivesTheFirstTokenWithLessWork) {
  const Tensor x = make_leaf(cosine({5, 4, 6}, 0)), added = cosine({4, 4}, 2);
  std::vector<std::int64_t> tokens;
  for (std::int64_t i = 0; i < 20; ++i) tokens.push_back(40 + i);
  for (const bool pre_norm : {false, true})
    for (const double attention_dropout : {0., .5})
      for (const bool training : {false, true}) {
        TransformerStackOptions options = with_dropout(pre_norm);
        options.layer.attention_dropout = attention_dropout;
        ParameterStore store(3, DType::f64);
        const Encoder encoder(store.root(), options);
        const nn::Run run{.training = training, .seed = 2, .token_ids = i64(tokens)};
        for (const AttentionMask& mask : {AttentionMask{}, AttentionMask{.bias = added}, AttentionMask{.causal = true}}) {
          const auto expected = results(store, {x}, [&] { return select(encoder(x, mask, run), 1, 0); });
          expect_same(results(store, {x}, [&] { return encoder.first_token(x, mask, run); }), expected, "first token");
        }
      }
  ParameterStore store;
  const Encoder encoder(store.root(), with_dropout(true));
  EXPECT_THROW(encoder.first_token(Tensor::zeros({8, 6}), {.cu_seqlens = i64({0, 3, 8})}, {}), ShapeError);
}

TEST(TransformerStack, CheckpointedGivesTheSameBitsWithLessMemory) {
  const auto train = [](bool checkpointed, bool pre_norm, DType dtype) {
    ParameterStore store(3, dtype);
    TransformerStackOptions options = with_dropout(pre_norm);
    options.layers = 6, options.layer.width = 32, options.layer.inner = 128, options.layer.attention_dropout = 0;
    const Encoder encoder(store.root(), options);
    const Tensor x = make_leaf(cast(cosine({8, 20, 32}, 0), dtype));
    reset_peak_memory();
    const auto before = memory_stats().live;
    const auto all = results(
        store, {x}, [&] { return encoder.first_token(x, {}, {.training = true, .seed = 2, .checkpoint_activations = checkpointed}); });
    return std::pair(all, memory_stats().peak_live - before);
  };
  for (const bool pre_norm : {false, true})
    for (const DType dtype : {DType::f32, DType::f64}) {
      const auto [plain, plain_peak] = train(false, pre_norm, dtype);
      const auto [again, again_peak] = train(true, pre_norm, dtype);
      EXPECT_EQ(plain, again);
      EXPECT_LT(static_cast<double>(again_peak), .6 * static_cast<double>(plain_peak));
    }
}

// Memory and masks may have gradients, which must find their way out of the checkpoints.
TEST(TransformerStack, CheckpointsADecoderWithItsMemory) {
  const Tensor x = make_leaf(cosine({2, 4, 6}, 0)), memory = make_leaf(cosine({2, 5, 6}, 3)), added = make_leaf(cosine({4, 5}, 2));
  for (const bool pre_norm : {false, true}) {
    std::vector<std::vector<std::vector<double>>> both;
    for (const bool checkpointed : {false, true}) {
      ParameterStore store(3, DType::f64);
      const Decoder decoder(store.root(), with_dropout(pre_norm));
      both.push_back(results(store, {x, memory, added}, [&] {
        const Tensor shifted = add(memory, Tensor::full({6}, .1, DType::f64)), mask = mul(added, Tensor::scalar(2, DType::f64));
        return decoder(x, {.memory = shifted, .memory_mask = {.bias = mask}},
                       {.training = true, .seed = 2, .checkpoint_activations = checkpointed});
      }));
    }
    expect_same(both[1], both[0], "checkpointed");
  }
}

TEST(TransformerStack, DropsOutInEveryPlaceAndOnlyInTraining) {
  for (const bool pre_norm : {false, true}) {
    const auto run = [](const TransformerLayerOptions& layer, bool training) {
      ParameterStore store(1, DType::f64);
      const Encoder encoder(store.root() / "encoder", {.layers = 2, .layer = layer});
      const Decoder decoder(store.root() / "decoder", {.layers = 2, .layer = layer});
      const nn::Run context{.training = training, .seed = 2};
      const Tensor memory = encoder(cosine({6, 3, 4}, 0), {}, context);
      return decoder(cosine({6, 2, 4}, 1), {.memory = memory}, context).to_vector();
    };
    const TransformerLayerOptions none{.width = 4, .heads = 2, .inner = 8, .pre_norm = pre_norm};
    TransformerLayerOptions result = none, attention = none, activation = none, depth = none;
    result.dropout = attention.attention_dropout = activation.activation_dropout = depth.stochastic_depth = .5;
    const std::vector<double> plain = run(none, false);
    EXPECT_EQ(run(none, true), plain);
    for (const TransformerLayerOptions& options : {result, attention, activation, depth}) {
      EXPECT_NE(run(options, true), plain);
      EXPECT_EQ(run(options, true), run(options, true));
      EXPECT_EQ(run(options, false), plain);
    }
  }
}

TEST(TransformerStack, RaisesStochasticDepthLayerByLayer) {
  ParameterStore store(1, DType::f64);
  const Encoder encoder(store.root(),
                        {.layers = 2, .layer = {.width = 4, .heads = 2, .inner = 8, .stochastic_depth = .9}, .final_norm = false});
  const Tensor x = cosine({6, 3, 4}, 0);
  const auto training = encoder.all_layers(x, {}, {.training = true, .seed = 2}), plain = encoder.all_layers(x, {}, {});
  EXPECT_EQ(training[0].to_vector(), plain[0].to_vector());
  EXPECT_NE(training[1].to_vector(), plain[1].to_vector());
}

}  // namespace
}  // namespace capstan::nn
