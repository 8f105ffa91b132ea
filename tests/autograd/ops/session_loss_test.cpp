#include "autograd/ops/session_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/autograd/ops/op_table.h"

namespace capstan {
namespace {

using enum SessionLossKind;

struct TableRow {
  std::string name;
  SessionLossRule rule;
  bool log_q;
  double first, second, mean;    // losses of the rows, and their sum divided by the batch size 2
  std::vector<double> gradient;  // of the mean
};

// M = B = 2 rows, 2 extra columns; computed in f64 by two independent programs.
const std::vector<TableRow> kTable = {
    {"XE",
     {cross_entropy},
     false,
     1.484731,
     1.528603,
     1.506667,
     {-.386718, .025277, .053510, .307931, .072676, -.391581, .024192, .294714}},
    {"XE, logq",
     {cross_entropy},
     true,
     2.618153,
     1.385651,
     2.001902,
     {-.463531, .032549, .034453, .396529, .020961, -.374920, .013955, .340004}},
    {"BPR", {bpr}, false, 2.594693, 2.720837, 2.657765, {-.617153, .091213, .160411, .365529, .200656, -.657398, .091213, .365529}},
    {"TOP1", {top1}, false, .948529, .988251, .968390, {-.070457, -.012123, .042847, .033408, .036282, -.073252, -.030510, .056923}},
    {"TOP1-max",
     {top1_max},
     false,
     1.528472,
     1.455254,
     1.491863,
     {-.098227, -.028787, -.024163, .179902, -.024237, -.100890, -.024275, .239275}},
    {"BPR-max",
     {bpr_max},
     false,
     1.017311,
     1.010506,
     1.013908,
     {-.271672, -.027736, -.019081, .318489, .001430, -.277145, -.025829, .301544}},
    {"BPR-max, bpreg",
     {bpr_max, 0, 1},
     false,
     4.227371,
     2.767548,
     3.497460,
     {-.271672, -.157154, -.202253, 2.225527, -.142132, -.277145, -.110993, 1.615988}},
    {"BPR-max, elu, bpreg",
     {bpr_max, .5, 1},
     false,
     4.125569,
     2.588998,
     3.357283,
     {-.269181, -.053574, -.190495, 2.209616, -.118468, -.274329, -.025712, 1.577984}},
};

const std::vector<double> kScores{1, -.5, .25, 2, .1, .5, -1, 1.5};
// Support counts 8, 2, 16, 4 of the columns' items: in-batch columns are corrected with log(count), extra ones with alpha = .5 of it.
const std::vector<double> kLogQ{std::log(8.0), std::log(2.0), .5 * std::log(16.0), .5 * std::log(4.0)};

TEST(SessionLoss, GivesTheTableOfTheSpecification) {
  for (const DType type : {DType::f64, DType::f32}) {
    const auto make = [&](const std::vector<double>& v, const Shape& s) { return testing::convert(Tensor::from(v, s), type); };
    for (const TableRow& row : kTable) {
      SCOPED_TRACE(row.name);
      Tape tape;
      const Tensor scores = make_leaf(make(kScores, {2, 4})), correction = row.log_q ? make(kLogQ, {4}) : Tensor{};
      const Tensor loss = session_loss(scores, row.rule, correction);
      EXPECT_NEAR(loss.item() / 2, row.mean, 1e-6);
      const Tensor seed = Tensor::scalar(.5, type);  // the divisor is the configured batch size, here 2
      const std::vector<double> gradient = tape.backward(std::span(&loss, 1), std::span(&seed, 1)).of(scores).dense().to_vector();
      for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(gradient[i], row.gradient[i], 1e-6) << "element " << i;
    }
  }
}

// A batch that has shrunk to one row: columns 0 (its target) and the extras; nothing depends on the rows that are gone.
TEST(SessionLoss, OfOneRowIsThatRowsLoss) {
  for (const TableRow& row : kTable) {
    SCOPED_TRACE(row.name);
    const Tensor first = Tensor::from({1.0, -.5, .25, 2.0}, Shape{1, 4});
    const Tensor correction = row.log_q ? Tensor::from(kLogQ, Shape{4}) : Tensor{};
    EXPECT_NEAR(session_loss(first, row.rule, correction).item(), row.first, 1e-6);
    const Tensor second = Tensor::from({.5, .1, -1.0, 1.5}, Shape{1, 4});  // its target moved to column 0
    const Tensor swapped = row.log_q ? Tensor::from({kLogQ[1], kLogQ[0], kLogQ[2], kLogQ[3]}, Shape{4}) : Tensor{};
    EXPECT_NEAR(session_loss(second, row.rule, swapped).item(), row.second, 1e-6);
  }
}

// Two equal targets without masking: cross entropy of two equal scores is log 2. With masking the row has no negative left.
TEST(SessionLoss, MasksCollisionsOnlyWhenAsked) {
  const Tensor scores = Tensor::from({.3, .3, -.2, -.2}, Shape{2, 2}), items = Tensor::from<std::int64_t>({5, 5}, Shape{2});
  EXPECT_NEAR(session_loss(scores, {cross_entropy}).item() / 2, std::log(2.0), 1e-12);
  EXPECT_NEAR(session_loss(scores, {cross_entropy}, {}, items).item(), 0, 1e-12);
}

// A masked column is as good as absent.
TEST(SessionLoss, MaskedColumnsDoNotExist) {
  for (const TableRow& row : kTable) {
    SCOPED_TRACE(row.name);
    const Tensor wide = Tensor::from({1.0, 9.0, -.5, 9.0, 2.0}, Shape{1, 5}), items = Tensor::from<std::int64_t>({3, 3, 1, 3, 2}, Shape{5});
    const Tensor narrow = Tensor::from({1.0, -.5, 2.0}, Shape{1, 3});
    EXPECT_NEAR(session_loss(wide, row.rule, {}, items).item(), session_loss(narrow, row.rule).item(), 1e-12);
  }
}

// Scores far apart overflow nothing, in the fast kernels either.
TEST(SessionLoss, IsFiniteForScoresFarApart) {
  for (const TableRow& row : kTable) {
    SCOPED_TRACE(row.name);
    Tape tape;
    const Tensor scores = make_leaf(Tensor::from<float>({300, -300, 0, 280, -300, 300, 90, -90}, Shape{2, 4}));
    const Tensor loss = session_loss(scores, row.rule);
    EXPECT_TRUE(std::isfinite(loss.item()));
    for (const double g : tape.backward(loss).of(scores).dense().to_vector()) EXPECT_TRUE(std::isfinite(g));
  }
}

TEST(SessionLoss, NaNIsNotHidden) {
  for (const TableRow& row : kTable) {
    for (const std::size_t place : {0U, 1U, 20U, 36U}) {
      std::vector<float> scores(37, .5f);
      scores[place] = NAN;
      EXPECT_TRUE(std::isnan(session_loss(Tensor::from(scores, Shape{1, 37}), row.rule).item())) << row.name << ", column " << place;
    }
  }
}

// The fused op is the plain one on scores made by hand, and a table row that occurs twice gets both its shares.
TEST(SampledSessionLoss, SumsTheGradientsOfARowThatOccursTwice) {
  Tape tape;
  const Tensor hidden = Tensor::from({1.0, -2.0, .5, .25}, Shape{2, 2});
  const Tensor table = make_leaf(Tensor::from({.1, .2, -.3, .4, .5, -.6}, Shape{3, 2}));
  const Tensor candidates = Tensor::from<std::int64_t>({2, 0, 2}, Shape{3});
  const Tensor loss = sampled_session_loss(hidden, table, {}, candidates, {}, {});
  const Gradients gradients = tape.backward(loss);
  const Gradient g = gradients.of(table);
  ASSERT_TRUE(g.is_sparse());
  EXPECT_EQ(g.indices().to_vector(), (std::vector<double>{2, 0, 2}));

  const Tensor scores = make_leaf(Tensor::from({1.7, -.3, 1.7, .1, .1, .1}, Shape{2, 3}));
  Tape plain;
  const Tensor expected = session_loss(scores, {});
  EXPECT_NEAR(loss.item(), expected.item(), 1e-12);
  const std::vector<double> d = plain.backward(expected).of(scores).dense().to_vector(), rows = testing::dense_values(g);
  for (int j = 0; j < 2; ++j) {
    const double h0 = j == 0 ? 1.0 : -2.0, h1 = j == 0 ? .5 : .25;
    EXPECT_NEAR(rows[static_cast<std::size_t>(4 + j)], (d[0] + d[2]) * h0 + (d[3] + d[5]) * h1, 1e-12);
    EXPECT_NEAR(rows[static_cast<std::size_t>(j)], d[1] * h0 + d[4] * h1, 1e-12);
    EXPECT_EQ(rows[static_cast<std::size_t>(2 + j)], 0);
  }
}

}  // namespace
}  // namespace capstan
