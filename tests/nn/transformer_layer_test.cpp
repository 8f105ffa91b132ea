// The encoder layer against PyTorch and against numbers computed by hand.
#include "nn/transformer_layer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "autograd/ops/elementwise.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

TEST(EncoderLayer, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const Activation activation : {Activation::relu, Activation::gelu})
      for (const bool pre_norm : {false, true}) {
        const Golden golden(
            std::string("encoder_layer/") + (activation == Activation::relu ? "relu" : "gelu") + (pre_norm ? "_pre" : "_post"), dtype);
        ParameterStore store(1, dtype);
        const EncoderLayer layer(store.root(), {.width = 6, .heads = 2, .inner = 10, .activation = activation, .pre_norm = pre_norm});
        golden.expect(store, 10 * tolerance, [&] { return layer(golden.input("x"), {.keys = golden.mask("key")}, {}); });
      }
  });
}

TEST(EncoderLayer, FollowsPyTorchWithoutBiasesAndWithAMaskThatIsAdded) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const bool pre_norm : {false, true}) {
      const Golden golden(std::string("encoder_layer/no_bias_masks_") + (pre_norm ? "pre" : "post"), dtype);
      ParameterStore store(1, dtype);
      const EncoderLayer layer(store.root(), {.width = 4, .heads = 2, .inner = 6, .pre_norm = pre_norm, .bias = false});
      const AttentionMask mask{.bias = golden.mask("added"), .keys = golden.mask("key")};
      golden.expect(store, 10 * tolerance, [&] { return layer(golden.input("x"), mask, {}); });
    }
  });
}

std::vector<double> by_formula(Activation activation, bool pre_norm, bool causal) {
  ParameterStore store(1, DType::f64);
  const EncoderLayer layer(store.root(), {.width = 4, .heads = 2, .inner = 8, .activation = activation, .pre_norm = pre_norm});
  fill_packed_attention(store, "attention/", 0, 4);
  const auto set = [&](const std::string& name, int t, int count, double offset = 0) {
    set_values(store.find(name).value(), sines(t, 0, count, offset));
  };
  set("feed_forward/inner/weight", 4, 32);
  set("feed_forward/inner/bias", 5, 8);
  set("feed_forward/outer/weight", 6, 32);
  set("feed_forward/outer/bias", 7, 4);
  set("attention_norm/weight", 8, 4, 1);
  set("attention_norm/bias", 9, 4);
  set("feed_forward_norm/weight", 10, 4, 1);
  set("feed_forward_norm/bias", 11, 4);
  return layer(cosine({1, 3, 4}, 0), {.causal = causal}, {}).to_vector();
}
std::vector<double> first_row(const std::vector<double>& y) { return {y.begin(), y.begin() + 4}; }

TEST(EncoderLayer, GivesTheNumbersOfTheFormula) {
  expect_rounded(by_formula(Activation::relu, false, false),
                 {1.1953, .260835, -.395376, -1.356311, 1.56353, -.176965, -.597547, -1.039376, -1.487133, -.561089, .515819, .672493}, 6,
                 "post, relu");
  expect_rounded(first_row(by_formula(Activation::gelu, false, false)), {1.187065, .265468, -.387742, -1.361745}, 6, "post, gelu");
  expect_rounded(by_formula(Activation::relu, true, false),
                 {1.490463, 1.109497, .60234, -.266827, .052244, -.589304, -.940568, -1.27071, -.238958, .007921, .416565, .467724}, 6,
                 "pre, relu");
  expect_rounded(first_row(by_formula(Activation::gelu, true, false)), {1.495734, 1.144837, .651887, -.225314}, 6, "pre, gelu");
  expect_rounded(by_formula(Activation::relu, false, true),
                 {1.168356, .277381, -.372915, -1.372818, 1.56622, -.171892, -.616173, -1.027269, -1.487133, -.561089, .515819, .672493}, 6,
                 "post, relu, causal");
}

TEST(EncoderLayer, DropsOutInEveryPlace) {
  const auto run = [](const TransformerLayerOptions& options, bool training) {
    ParameterStore store(1, DType::f64);
    const EncoderLayer layer(store.root(), options);
    return layer(cosine({1, 3, 4}, 0), {}, {.training = training, .seed = 2}).to_vector();
  };
  for (const bool pre_norm : {false, true}) {
    const TransformerLayerOptions none{.width = 4, .heads = 2, .inner = 8, .pre_norm = pre_norm};
    TransformerLayerOptions result = none, attention = none, activation = none;
    result.dropout = attention.attention_dropout = activation.activation_dropout = .5;
    const std::vector<double> plain = run(none, false);
    EXPECT_EQ(run(none, true), plain);
    for (const TransformerLayerOptions& options : {result, attention, activation}) {
      EXPECT_NE(run(options, true), plain);
      EXPECT_EQ(run(options, false), plain);
    }
  }
}

TEST(EncoderLayer, ComputesInTheTypeOfItsInput) {
  for (const bool pre_norm : {false, true}) {
    ParameterStore store(1);
    const EncoderLayer layer(store.root(), {.width = 32, .heads = 4, .inner = 64, .pre_norm = pre_norm, .dropout = .1});
    const Tensor x({2, 9, 32}), direction({2, 9, 32});
    normal(1)(x, 1);
    normal(1)(direction, 2);
    const nn::Run run{.training = true, .seed = 1};
    const auto gradients_for = [&](const Tensor& input) {
      Tape tape;
      const Tensor y = layer(input, {}, run);
      EXPECT_EQ(y.dtype(), input.dtype());
      const Tensor cotangent = cast(direction, y.dtype());
      return std::pair(y.to_vector(), store.gradients(tape.backward(std::span(&y, 1), std::span(&cotangent, 1))));
    };
    const auto [y, gradients] = gradients_for(x);
    const auto [half_y, half_gradients] = gradients_for(cast(x, DType::bf16));
    expect_close(half_y, y, .06, "output");
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      ASSERT_EQ(half_gradients[i].dense().dtype(), DType::f32);
      const std::vector<double> a = gradients[i].dense().to_vector(), b = half_gradients[i].dense().to_vector();
      double error = 0, norm = 0;
      for (std::size_t j = 0; j < a.size(); ++j) error += (a[j] - b[j]) * (a[j] - b[j]), norm += a[j] * a[j];
      if (store.parameters()[i].name() == "attention/key/bias") continue;  // its gradient is zero but for rounding
      EXPECT_LT(error, .05 * .05 * norm) << store.parameters()[i].name();
    }
  }
}

TEST(EncoderLayer, DropsTheSameElementsOfASampleInAnyBatch) {
  ParameterStore store(1, DType::f64);
  const EncoderLayer layer(store.root(),
                           {.width = 4, .heads = 2, .inner = 8, .dropout = .3, .attention_dropout = .3, .activation_dropout = .3});
  const Tensor both = cosine({2, 3, 4}, 0), second = both.view(both.layout().slice(0, 1, 1)).contiguous();
  const auto ids = [](std::int64_t first, std::int64_t n) {
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < n; ++i) out.push_back(first + i);
    return Tensor::from(out, {n});
  };
  const std::vector<double> together = layer(both, {}, {.training = true, .token_ids = ids(30, 6)}).to_vector();
  const std::vector<double> alone = layer(second, {}, {.training = true, .token_ids = ids(33, 3)}).to_vector();
  expect_close({together.begin() + 12, together.end()}, alone, 1e-12, "second sample");
}

// Two sequences of 3 and 5 tokens, padded to 5 and packed to 8, with dropout everywhere: real tokens come out the same.
TEST(EncoderLayer, GivesTheSameForPaddedAndPackedBatches) {
  for (const bool pre_norm : {false, true}) {
    ParameterStore store(1, DType::f64);
    const EncoderLayer layer(
        store.root(),
        {.width = 8, .heads = 2, .inner = 16, .pre_norm = pre_norm, .dropout = .2, .attention_dropout = .2, .activation_dropout = .2});
    const Tensor padded = cosine({2, 5, 8}, 0);
    const Tensor packed({8, 8}, DType::f64);
    std::ranges::copy(padded.span<double>().subspan(0, 24), packed.span<double>().begin());
    std::ranges::copy(padded.span<double>().subspan(40, 40), packed.span<double>().begin() + 24);
    const auto i64 = [](const std::vector<std::int64_t>& v) { return Tensor::from(v, {static_cast<std::int64_t>(v.size())}); };
    const Tensor real = Tensor::from(std::vector<std::uint8_t>{1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, {2, 5});
    for (const bool causal : {false, true}) {
      const std::vector<double> a =
          layer(padded, {.keys = real, .causal = causal}, {.training = true, .token_ids = i64({10, 11, 12, 13, 14, 20, 21, 22, 23, 24})})
              .to_vector();
      const std::vector<double> b = layer(packed, {.causal = causal, .cu_seqlens = i64({0, 3, 8})},
                                          {.training = true, .token_ids = i64({10, 11, 12, 20, 21, 22, 23, 24})})
                                        .to_vector();
      expect_close({b.begin(), b.begin() + 24}, {a.begin(), a.begin() + 24}, 1e-12, "first sequence");
      expect_close({b.begin() + 24, b.end()}, {a.begin() + 40, a.end()}, 1e-12, "second sequence");
    }
  }
}

}  // namespace
}  // namespace capstan::nn
