#include "autograd/ops/candidate_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/core/rng.h"

namespace capstan {
namespace {

struct Result {
  double value = 0, count = 0;
  std::vector<double> gradient;
};

Result run(const Tensor& scores, const Tensor& valid, const ops::RankingLoss::Args& options) {
  const Tensor leaf = make_leaf(scores);
  Tape tape;
  const Loss loss = ranking_loss(leaf, valid, options);
  Result r{loss.value.item(), loss.count, {}};
  r.gradient = tape.backward(loss.value).of(leaf).dense().to_vector();
  return r;
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
}

TEST(RankingLoss, SasrecNumbersWithPadding) {
  const Tensor scores = Tensor::from<float>({.7f, -.5f, 9, 9, -.3f, .4f, 1.2f, .1f, -9, 9}, {5, 2});
  const Tensor valid = Tensor::from<std::uint8_t>({1, 0, 1, 1, 0}, {5});
  const Result r = run(scores, valid, {.kind = RankingLossKind::bce_sum});
  EXPECT_NEAR(r.value, 1.217438, 1e-6);
  EXPECT_EQ(r.count, 3);
  expect_near(r.gradient, {-.110604, .125847, 0, 0, -.191481, .199563, -.077158, .174993, 0, 0}, 1e-6);
  const auto term = [&](std::int64_t n) {
    return ranking_loss(scores.view(scores.layout().slice(0, n, 1)), {}, {.kind = RankingLossKind::bce_sum}).value.item();
  };
  EXPECT_NEAR(term(0), .877263, 1e-6);
  EXPECT_NEAR(term(2), 1.767370, 1e-6);
  EXPECT_NEAR(term(3), 1.007679, 1e-6);
  EXPECT_NEAR(run(scores, valid, {.kind = RankingLossKind::bce}).value, 1.217438 / 2, 1e-6);
}

const Tensor kScores = Tensor::from<float>({.8f, -.2f, .5f, 1.1f}, {1, 4});

TEST(RankingLoss, GbceNumbers) {
  const Result r = run(kScores, {}, {.kind = RankingLossKind::gbce, .calibration = .75, .items = 13});
  EXPECT_NEAR(r.value, .780477, 1e-6);
  expect_near(r.gradient, {-.033909, .112542, .155615, .187565}, 1e-6);
  EXPECT_EQ(run(kScores, {}, {.kind = RankingLossKind::gbce, .calibration = 0, .items = 13}).value,
            run(kScores, {}, {.kind = RankingLossKind::bce}).value);
}

TEST(RankingLoss, SampledSoftmaxNumbers) {
  const Result r = run(kScores, {}, {.kind = RankingLossKind::sampled_softmax});
  EXPECT_NEAR(r.value, 1.240851, 1e-6);
  expect_near(r.gradient, {-.710862, .106368, .214199, .390295}, 1e-6);
}

TEST(RankingLoss, LargeScoresStayFinite) {
  for (const RankingLossKind kind : {RankingLossKind::bce_sum, RankingLossKind::sampled_softmax}) {
    const Result r = run(Tensor::from<float>({-1e4f, 0}, {1, 2}), {}, {.kind = kind});
    EXPECT_NEAR(r.value, 1e4, 1);
    EXPECT_NEAR(r.gradient[0], -1, 1e-6);
    EXPECT_NEAR(run(Tensor::from<float>({1e4f, -1e4f}, {1, 2}), {}, {.kind = kind}).value, 0, 1e-6);
  }
}

TEST(CandidateLoss, IsTheLossOfTheScores) {
  Rng rng(3);
  const auto random = [&](const Shape& shape) {
    Tensor t(shape);
    for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-1, 1));
    return t;
  };
  constexpr std::int64_t n = 500, width = 50, table_rows = 40, columns = 4;  // enough work for several threads
  const Tensor h = make_leaf(random({n, width})), table = make_leaf(random({table_rows, width}));
  Tensor items({n, columns}, DType::i64), valid({n}, DType::u8), log_q({table_rows});
  for (std::int64_t& v : items.span<std::int64_t>()) v = static_cast<std::int64_t>(rng.below(table_rows));
  for (std::uint8_t& v : valid.span<std::uint8_t>()) v = rng.below(3) != 0;
  for (float& v : log_q.span<float>()) v = static_cast<float>(-rng.uniform(1, 3));
  const auto at = [&](const Tensor& t, std::int64_t row) { return t.data<const float>() + row * width; };
  double expected = 0, count = 0;
  for (std::int64_t r = 0; r < n; ++r) {
    if (valid.data<std::uint8_t>()[r] == 0) continue;
    double sum = 0, first = 0;
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t item = items.data<std::int64_t>()[r * columns + c];
      double dot = c == 0 ? 0 : -static_cast<double>(log_q.data<float>()[item]);
      for (std::int64_t j = 0; j < width; ++j) dot += static_cast<double>(at(h, r)[j]) * static_cast<double>(at(table, item)[j]);
      if (c == 0) first = dot;
      sum += std::exp(dot);
    }
    expected += std::log(sum) - first;
    ++count;
  }
  std::vector<double> dense;
  for (const bool sparse : {false, true}) {
    Tape tape;
    const Loss loss = candidate_loss(h, table, items, valid, {.kind = RankingLossKind::sampled_softmax, .log_q = log_q, .sparse = sparse});
    EXPECT_EQ(loss.count, count);
    EXPECT_NEAR(loss.value.item(), expected / count, 1e-5);
    const Gradient g = tape.backward(loss.value).of(table);
    ASSERT_EQ(g.is_sparse(), sparse);
    if (!sparse) {
      dense = g.dense().to_vector();
      continue;
    }
    EXPECT_EQ(g.indices().numel(), table_rows);  // every row once
    const std::vector<double> indices = g.indices().to_vector(), rows = g.row_values().to_vector();
    for (std::size_t u = 0; u < indices.size(); ++u)
      for (std::size_t j = 0; j < width; ++j) ASSERT_EQ(rows[u * width + j], dense[static_cast<std::size_t>(indices[u]) * width + j]);
  }
}

}  // namespace
}  // namespace capstan
