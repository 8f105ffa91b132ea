// Relative positions against numbers computed by hand, against PyTorch, and at their limits.
#include "nn/relative_position.h"

#include <gtest/gtest.h>

#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "nn/attention.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor by_formula(const Shape& shape, double (*f)(double), double step, double shift) {
  std::vector<double> v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = f(step * static_cast<double>(i) + shift);
  return Tensor::from(v, shape);
}

TEST(RelativePosition, GivesTheScoresOfTheWorkedExample) {
  const Tensor q = by_formula({1, 3, 1, 2}, std::cos, 0.5, 0), k = by_formula({1, 3, 1, 2}, std::cos, 0.5, 1);
  const Tensor table = by_formula({7, 2}, std::sin, 0.3, 0);
  const Tensor plain = matmul(reshape(q, {3, 2}), transpose(reshape(k, {3, 2}), 0, 1), 1 / std::sqrt(2.0));
  const auto scores = [&](RelativePositions kind) {
    std::vector<double> sum = relative_position_scores(q, k, table, kind).to_vector();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += plain.to_vector()[i];
    return sum;
  };
  expect_rounded(scores(RelativePositions::key), {1.650221, .486636, -.395792, .4894, .216175, -.019088, -.151226, .135428, .046245}, 6,
                 "key");
  expect_rounded(scores(RelativePositions::key_query),
                 {2.065458, -.352701, -1.309758, .768839, -.559393, -1.33206, -.105201, -.305442, -1.207074}, 6, "key_query");
}

TEST(RelativePosition, OfTheLastQueriesAreTheLastRows) {
  const Tensor q = by_formula({2, 6, 2, 3}, std::cos, 0.5, 0), k = by_formula({2, 6, 2, 3}, std::cos, 0.5, 1),
               table = by_formula({15, 3}, std::sin, 0.3, 0);
  for (const RelativePositions kind : {RelativePositions::key, RelativePositions::key_query}) {
    const Tensor all = relative_position_scores(q, k, table, kind);
    for (const std::int64_t n : {0, 1, 2, 5, 6})
      expect_close(relative_position_scores(slice(q, 1, 6 - n, n), k, table, kind).to_vector(), slice(all, 2, 6 - n, n).to_vector(), 1e-14,
                   std::to_string(n) + " queries");
  }
}

TEST(RelativePosition, AttentionFollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const auto& [name, kind] : {std::pair{"key", RelativePositions::key}, {"key_query", RelativePositions::key_query}}) {
      SCOPED_TRACE(name);
      const Golden golden(std::string("relative/") + name, dtype, "bert");
      ParameterStore store(1, dtype);
      const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2, .relative = kind, .max_length = 7});
      const Tensor& x = golden.input("x");
      golden.expect(store, tolerance, [&] { return layer(x, x, x, {.keys = golden.mask("keys")}, {}); });
      golden.expect(store, tolerance, [&] { return layer.with_weights(x, x, x, {.keys = golden.mask("keys")}, {}).output; });
    }
  });
}

TEST(RelativePosition, MaskAndBiasComeOnTop) {
  ParameterStore store(3, DType::f64);
  const MultiHeadAttention layer(store.root(), {.width = 4, .heads = 2, .relative = RelativePositions::key, .max_length = 4});
  const Tensor x = by_formula({1, 4, 4}, std::cos, 0.7, 0.2);
  const double never = -std::numeric_limits<double>::infinity();
  const Tensor bias = Tensor::from<double>({0, 0, never, never}, Shape{4}), mask = Tensor::from<std::uint8_t>({1, 1, 0, 0}, Shape{4});
  const Tensor keys = Tensor::from<std::uint8_t>({1, 1, 0, 0}, Shape{1, 4});
  const std::vector<double> expected = layer(x, x, x, {.keys = keys}, {}).to_vector();
  expect_close(layer(x, x, x, {.bias = bias}, {}).to_vector(), expected, 1e-12, "bias and keys");
  expect_close(layer(x, x, x, {.mask = mask}, {}).to_vector(), expected, 1e-12, "mask and keys");
}

TEST(RelativePosition, SaysWhatDoesNotFit) {
  const auto message = [](auto&& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  const Tensor x = Tensor::zeros({1, 5, 1, 2}), table = Tensor::zeros({7, 2});
  EXPECT_EQ(
      message([&] { relative_position_scores(x, x, table, RelativePositions::key); }),
      "relative_position_scores: a sequence must not be longer than the table reaches: key f32[1, 5, 1, 2], table f32[7, 2], 5 and 4");
  EXPECT_NE(message([&] {
              relative_position_scores(x, x, Tensor::zeros({6, 2}), RelativePositions::key);
            }).find("must be [2 P - 1, D]"),
            std::string::npos);
  ParameterStore store;
  EXPECT_NE(message([&] {
              MultiHeadAttention(store.root(), {.width = 4, .heads = 2, .relative = RelativePositions::key});
            }).find("need the longest length: max_length 0"),
            std::string::npos);
  const MultiHeadAttention layer(store.root() / "a", {.width = 4, .heads = 2, .relative = RelativePositions::key, .max_length = 4});
  const Tensor packed = Tensor::zeros({3, 4});
  EXPECT_NE(message([&] {
              layer(packed, packed, packed, {.cu_seqlens = Tensor::from<std::int64_t>({0, 3}, Shape{2})}, {});
            }).find("relative positions are for padded batches"),
            std::string::npos);
}

}  // namespace
}  // namespace capstan::nn
