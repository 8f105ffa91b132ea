// The pre-norm stack against its layers one by one, and stochastic depth.
#include "nn/encoder.h"

#include <gtest/gtest.h>

#include <set>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/transformer.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor i64(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

TEST(Encoder, IsItsLayersAndANormalisation) {
  ParameterStore store(3, DType::f64);
  const EncoderOptions options{.width = 6, .heads = 2, .inner = 10, .layers = 3, .epsilon = 1e-6};
  const Encoder encoder(store.root(), options);
  ParameterStore same(3, DType::f64);
  std::vector<EncoderLayer> layers;
  for (std::int64_t i = 0; i < 3; ++i)
    layers.emplace_back(same.root() / i, EncoderLayerOptions{.width = 6, .heads = 2, .inner = 10, .pre_norm = true, .epsilon = 1e-6});
  const LayerNorm norm(same.root() / "norm", {.width = 6, .epsilon = 1e-6});
  ASSERT_EQ(store.parameters().size(), same.parameters().size());

  const Tensor x = make_leaf(cosine({2, 4, 6}, 0)), cotangent = cosine({2, 4, 6}, 1);
  const auto run = [&](const auto& forward, const ParameterStore& parameters) {
    Tape tape;
    const Tensor y = forward();
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
    std::vector<std::vector<double>> all{y.to_vector(), g.of(x).dense().to_vector()};
    for (const Parameter& p : parameters.parameters()) all.push_back(g.of(p.value).dense().to_vector());
    return all;
  };
  const auto stacked = run([&] { return encoder(x, {}); }, store);
  const auto single = run(
      [&] {
        Tensor y = x;
        for (const EncoderLayer& layer : layers) y = layer(y, {}, {});
        return norm(y);
      },
      same);
  for (std::size_t i = 0; i < stacked.size(); ++i) expect_close(stacked[i], single[i], 1e-12, "result " + std::to_string(i));

  const Encoder::WithWeights both = encoder.with_weights(x, {});
  expect_close(both.output.to_vector(), stacked[0], 1e-12, "with weights");
  ASSERT_EQ(both.weights.size(), 3u);
  EXPECT_EQ(both.weights[2].shape(), (Shape{2, 2, 4, 4}));
}

TEST(Encoder, GivesTheFirstTokenWithLessWork) {
  for (const double attention_dropout : {0., .5}) {
    ParameterStore store(3, DType::f64);
    const Encoder encoder(
        store.root(),
        {.width = 6, .heads = 2, .inner = 10, .layers = 2, .dropout = .3, .attention_dropout = attention_dropout, .stochastic_depth = .3});
    const Tensor x = make_leaf(cosine({5, 4, 6}, 0)), cotangent = cosine({5, 6}, 1);
    std::vector<std::int64_t> tokens;
    for (std::int64_t i = 0; i < 20; ++i) tokens.push_back(40 + i);
    for (const bool training : {false, true}) {
      const nn::Run run{.training = training, .seed = 2, .token_ids = i64(tokens)};
      const auto results = [&](const auto& forward) {
        Tape tape;
        const Tensor y = forward();
        const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
        std::vector<std::vector<double>> all{y.to_vector(), g.of(x).dense().to_vector()};
        for (const Parameter& p : store.parameters()) all.push_back(g.of(p.value).dense().to_vector());
        return all;
      };
      const auto expected = results([&] { return select(encoder(x, run), 1, 0); });
      const auto actual = results([&] { return encoder.first_token(x, run); });
      for (std::size_t i = 0; i < expected.size(); ++i) expect_close(actual[i], expected[i], 1e-12, "result " + std::to_string(i));
    }
  }
}

TEST(Encoder, CheckpointedGivesTheSameBitsWithLessMemory) {
  const auto train = [](bool checkpointed, DType dtype) {
    ParameterStore store(3, dtype);
    const Encoder encoder(store.root(), {.width = 32,
                                         .heads = 2,
                                         .inner = 128,
                                         .layers = 6,
                                         .dropout = .2,
                                         .attention_dropout = .1,
                                         .stochastic_depth = .2,
                                         .checkpoint = checkpointed});
    const Tensor x = make_leaf(cast(cosine({8, 20, 32}, 0), dtype)), cotangent = cast(cosine({8, 32}, 1), dtype);
    reset_peak_memory();
    const auto before = memory_stats().live;
    Tape tape;
    const Tensor y = encoder.first_token(x, {.training = true, .seed = 2});
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
    const auto peak = memory_stats().peak_live - before;
    std::vector<std::vector<double>> all{y.to_vector(), g.of(x).dense().to_vector()};
    for (const Parameter& p : store.parameters()) all.push_back(g.of(p.value).dense().to_vector());
    return std::pair(all, peak);
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto [plain, plain_peak] = train(false, dtype);
    const auto [again, again_peak] = train(true, dtype);
    EXPECT_EQ(plain, again);
    EXPECT_LT(static_cast<double>(again_peak), .6 * static_cast<double>(plain_peak));
  }
}

TEST(Encoder, DropsOutInEveryPlaceAndOnlyInTraining) {
  const auto run = [](const EncoderOptions& options, bool training) {
    ParameterStore store(1, DType::f64);
    return Encoder(store.root(), options)(cosine({6, 3, 4}, 0), {.training = training, .seed = 2}).to_vector();
  };
  const EncoderOptions none{.width = 4, .heads = 2, .inner = 8, .layers = 2};
  EncoderOptions result = none, attention = none, depth = none;
  result.dropout = attention.attention_dropout = depth.stochastic_depth = .5;
  const std::vector<double> plain = run(none, false);
  EXPECT_EQ(run(none, true), plain);
  for (const EncoderOptions& options : {result, attention, depth}) {
    EXPECT_NE(run(options, true), plain);
    EXPECT_EQ(run(options, true), run(options, true));
    EXPECT_EQ(run(options, false), plain);
  }
}

TEST(StochasticDepth, DropsWholeSamplesAndKeepsTheMean) {
  ParameterStore store;
  const StochasticDepth depth(store.root() / "depth", .25);
  const std::int64_t samples = 4000;
  const Tensor ones = Tensor::full({samples, 2, 3}, 1);
  const std::vector<double> y = depth(ones, {.training = true, .seed = 5}).to_vector();
  std::int64_t kept = 0;
  for (std::int64_t b = 0; b < samples; ++b) {
    const std::set<double> values(y.begin() + 6 * b, y.begin() + 6 * (b + 1));
    ASSERT_EQ(values.size(), 1u);
    kept += *values.begin() != 0;
    if (*values.begin() != 0) {
      ASSERT_FLOAT_EQ(static_cast<float>(*values.begin()), 1.0F / .75F);
    }
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(samples), .75, .03);
  EXPECT_EQ(depth(ones, {}).to_vector(), ones.to_vector());
  EXPECT_NE(depth(ones, {.training = true, .seed = 5, .step = 1}).to_vector(), y);
}

TEST(StochasticDepth, DependsOnTheSampleNotOnItsBatch) {
  ParameterStore store;
  const StochasticDepth depth(store.root() / "depth", .5);
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < 32; ++i) numbers.push_back(100 + 3 * i);  // the first token of each of the samples, of three tokens
  const auto decide = [&](const std::vector<std::int64_t>& samples) {
    std::vector<std::int64_t> tokens;
    for (const std::int64_t s : samples)
      for (std::int64_t t = 0; t < 3; ++t) tokens.push_back(s + t);
    const Tensor x = Tensor::full({static_cast<std::int64_t>(samples.size()), 3, 1}, 1);
    return depth(x, {.training = true, .seed = 1, .token_ids = i64(tokens)}).to_vector();
  };
  const std::vector<double> all = decide(numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(decide({numbers[i]})[0], all[3 * i]);
}

TEST(StochasticDepth, RisesLinearlyToTheLastLayer) {
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(0, 5, .2), 0);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(2, 5, .2), .1);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(4, 5, .2), .2);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(0, 1, .2), .2);
  ParameterStore store;
  EXPECT_THROW(StochasticDepth(store.root(), 1), ConfigError);
}

}  // namespace
}  // namespace capstan::nn
