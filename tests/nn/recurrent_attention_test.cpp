// Attention over recurrent states against numbers worked out elsewhere, and what padding does.
#include "nn/recurrent_attention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "tests/nn/formulas.h"
#include "tests/nn/gradient_check.h"

namespace capstan::nn {
namespace {

Tensor states(DType dtype) {
  Tensor h({1, 3, 4}, dtype);
  set_values(h, cosine({3, 4}, 0).to_vector());
  return h;
}
/// Parameter t, a matrix [rows, columns] by formula, transposed: what multiplies from the right elsewhere is [out, in] here.
std::vector<double> transposed_sines(int t, int rows, int columns) {
  const std::vector<double> m = sines(t, 0, rows * columns);
  std::vector<double> out;
  for (int c = 0; c < columns; ++c)
    for (int r = 0; r < rows; ++r) out.push_back(m[static_cast<std::size_t>(r * columns + c)]);
  return out;
}

TEST(AttentionPooling, GivesTheHandCheckedNumbers) {
  in_both_precisions([](DType dtype, double) {
    ParameterStore store(1, dtype);
    const AttentionPooling additive(store.root() / "a", {.width = 4}), zhou(store.root() / "z", {.width = 4, .kind = PoolingKind::zhou});
    set_values(store.find("a/projection/weight").write(), transposed_sines(0, 4, 4));
    for (const char* name : {"a/context", "z/context"}) set_values(store.find(name).write(), sines(1, 0, 4));
    const auto [s, weights] = additive(states(dtype), {});
    expect_rounded(weights.to_vector(), {.349511, .330605, .319885}, 6, "additive, weights");
    expect_rounded(s.to_vector(), {.00284, -.025568, -.047716, -.058181}, 6, "additive");
    const auto other = zhou(states(dtype), {});
    expect_rounded(other.weights.to_vector(), {.436148, .222294, .341559}, 6, "zhou, weights");
    expect_rounded(other.pooled.to_vector(), {.119805, .131894, .111998, .064645}, 6, "zhou");
  });
}

// Padding has weight 0, and what stands there does not matter; a query of zeros weighs all alike.
TEST(AttentionPooling, LeavesPaddingOut) {
  const Tensor mask = Tensor::from(std::vector<std::uint8_t>{1, 1, 0}, {1, 3});
  for (const PoolingKind kind : {PoolingKind::additive, PoolingKind::zhou, PoolingKind::dot}) {
    ParameterStore store(1, DType::f64);
    const AttentionPooling pooling(store.root(), {.width = 4, .kind = kind});
    const Tensor h = states(DType::f64), query = kind == PoolingKind::dot ? cosine({1, 4}, 2) : Tensor{};
    const auto padded = pooling(h, mask, query), shorter = pooling(slice(h, 1, 0, 2), {}, query);
    expect_close(padded.pooled.to_vector(), shorter.pooled.to_vector(), 1e-14, "pooled");
    EXPECT_EQ(padded.weights.to_vector()[2], 0);
    EXPECT_THROW(pooling(h, mask, kind == PoolingKind::dot ? Tensor{} : cosine({1, 4}, 2)), ShapeError);
  }
  ParameterStore store(1, DType::f64);
  const AttentionPooling dot(store.root(), {.width = 4, .kind = PoolingKind::dot});
  expect_close(dot(states(DType::f64), {}, Tensor::zeros({1, 4}, DType::f64)).weights.to_vector(), {1. / 3, 1. / 3, 1. / 3}, 1e-14, "dot");
}

TEST(AttentionScores, GivesTheHandCheckedNumbersOfMultiplicativeAttention) {
  in_both_precisions([](DType dtype, double) {
    ParameterStore store(1, dtype);
    const AttentionScores scores(store.root(), {.query = 2, .state = 4});
    set_values(store.find("projection/weight").write(), sines(0, 0, 8));
    Tensor d({1, 2}, dtype), combine({2, 6}, dtype);
    set_values(d, cosine({2}, 0).to_vector());
    set_values(combine, sines(1, 0, 12));
    const Tensor keys = scores.keys(states(dtype));
    expect_rounded(matmul(keys, unsqueeze(d, -1)).to_vector(), {.140146, -.110622, -.048076}, 6, "scores");
    const Tensor weights = scores.weights(d, keys, {});
    expect_rounded(weights.to_vector(), {.383636, .298547, .317816}, 6, "weights");
    const Tensor context = weighted_sum(weights, states(dtype));
    expect_rounded(context.to_vector(), {.051658, .030499, .001873, -.027212}, 6, "context");
    expect_rounded(tanh(linear(concat({d, context}, -1), combine)).to_vector(), {.246552, -.33653}, 6, "[d; context]");
    expect_rounded(tanh(linear(concat({context, d}, -1), combine)).to_vector(), {-.125162, .320606}, 6, "[context; d]");
  });
}

TEST(AttentionScores, AdditiveAndDotAreTheirFormulas) {
  ParameterStore store(3, DType::f64);
  const AttentionScores additive(store.root() / "a", {.query = 2, .state = 4, .inner = 3, .kind = ScoreKind::additive});
  const AttentionScores dot(store.root() / "d", {.query = 4, .state = 4, .kind = ScoreKind::dot});
  const Tensor h = states(DType::f64), d = cosine({1, 2}, 1), mask = Tensor::from(std::vector<std::uint8_t>{1, 0, 1}, {1, 3});
  const std::vector<double> w1 = store.find("a/projection/weight").value().to_vector(),
                            w2 = store.find("a/query/weight").value().to_vector(), v = store.find("a/context").value().to_vector();
  const std::vector<double> states_of = h.to_vector(), query = d.to_vector();
  std::vector<double> expected;
  for (std::size_t t = 0; t < 3; ++t) {
    double score = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      double u = 0;
      for (std::size_t i = 0; i < 4; ++i) u += w1[k * 4 + i] * states_of[t * 4 + i];
      for (std::size_t i = 0; i < 2; ++i) u += w2[k * 2 + i] * query[i];
      score += v[k] * std::tanh(u);
    }
    expected.push_back(t == 1 ? 0 : std::exp(score));
  }
  const double sum = expected[0] + expected[2];
  for (double& e : expected) e /= sum;
  expect_close(additive.weights(d, additive.keys(h), mask).to_vector(), expected, 1e-14, "additive");
  EXPECT_EQ(dot.keys(h).to_vector(), states_of);
  EXPECT_THROW(AttentionScores(store.root() / "e", {.query = 2, .state = 4, .kind = ScoreKind::dot}), ConfigError);
}

TEST(RecurrentAttention, GradientsEqualCentralDifferences) {
  const Tensor mask = Tensor::from(std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0}, {2, 3});
  const Tensor h = random_input({2, 3, 4});
  for (const PoolingKind kind : {PoolingKind::additive, PoolingKind::zhou, PoolingKind::dot}) {
    const LayerBuilder build = [&](const Scope& s) {
      return [kind, mask, l = AttentionPooling(s, {.width = 4, .inner = 3, .kind = kind})](Inputs in) {
        const auto [pooled, weights] = l(in[0], mask, kind == PoolingKind::dot ? in[1] : Tensor{});
        return concat({flatten(pooled), flatten(weights)}, 0);
      };
    };
    std::vector<Tensor> inputs{h};
    if (kind == PoolingKind::dot) inputs.push_back(random_input({2, 4}, 2));
    EXPECT_EQ(gradient_errors(build, inputs), "") << static_cast<int>(kind);
  }
  for (const ScoreKind kind : {ScoreKind::dot, ScoreKind::general, ScoreKind::additive}) {
    const std::int64_t query = kind == ScoreKind::dot ? 4 : 2;
    const LayerBuilder build = [&](const Scope& s) {
      return [mask, l = AttentionScores(s, {.query = query, .state = 4, .inner = 3, .kind = kind})](Inputs in) {
        return weighted_sum(l.weights(in[1], l.keys(in[0]), mask), in[0]);
      };
    };
    EXPECT_EQ(gradient_errors(build, {h, random_input({2, query}, 2)}), "") << static_cast<int>(kind);
  }
}

}  // namespace
}  // namespace capstan::nn
