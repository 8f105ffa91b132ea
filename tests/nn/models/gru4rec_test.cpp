// The network alone: what a step reads and leaves, dropout, initial values, input modes.
#include "nn/models/gru4rec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"

namespace capstan::nn {
namespace {

struct Built {
  explicit Built(const Gru4RecOptions& options) : model(store.root(), 6, options) {}
  std::vector<double> values(const std::string& parameter) const { return store.find(parameter).value().to_vector(); }
  ParameterStore store{3};
  Gru4Rec model;
};

struct Gru4RecTest : testing::Test {
  Gru4RecOptions options{.layers = {3}};
};

auto start_of(const Gru4Rec& model) {
  return [&model](std::int64_t slots) { return model.start(slots); };
}

// ---- state

// T2: the state depends on the whole session, not on its newest item only. T1: and not on what ran in the slot before.
TEST_F(Gru4RecTest, TheStateIsThatOfTheSession) {
  const Built built(options);
  const Gru4Rec& model = built.model;
  const auto after = [&](const std::vector<std::int64_t>& items, Hidden hidden) {
    for (const std::int64_t item : items) model.step(Tensor::from<std::int64_t>({item}, Shape{1}), hidden, {});
    return hidden.back().to_vector();
  };
  EXPECT_NE(after({1, 2}, model.start(1)), after({2}, model.start(1)));
  Hidden used = model.start(1);
  model.step(Tensor::from<std::int64_t>({4}, Shape{1}), used, {});
  EXPECT_EQ(after({1, 2}, continued(used, start_of(model), {}, std::vector<std::uint8_t>{1})), after({1, 2}, model.start(1)));
  EXPECT_NE(after({1, 2}, used), after({1, 2}, model.start(1)));
}

TEST_F(Gru4RecTest, RowsAreKeptThenReset) {
  const Built built(options);
  const Hidden before{Tensor::from<float>({1, 1, 1, 2, 2, 2, 3, 3, 3}, Shape{3, 3})};
  const Hidden after = continued(before, start_of(built.model), std::vector<std::int32_t>{0, 2}, std::vector<std::uint8_t>{1, 0});
  EXPECT_EQ(after[0].to_vector(), (std::vector<double>{0, 0, 0, 3, 3, 3}));
  EXPECT_EQ(before[0].to_vector()[0], 1);  // a copy: the tape may still need the rows
}

// The incoming state is a constant: no backpropagation through time. And what dropout leaves is what is carried on.
TEST_F(Gru4RecTest, CarriesTheDroppedOutStateAsAConstant) {
  options.layers = {64};
  options.dropout_hidden = .5;
  const Built built(options);
  Hidden hidden = built.model.start(2);
  Tape tape;
  const Tensor out =
      built.model.step(Tensor::from<std::int64_t>({0, 1}, Shape{2}), hidden, {.training = true, .seed = 1, .step = 0, .token_ids = {}});
  EXPECT_EQ(hidden[0].to_vector(), out.to_vector());
  EXPECT_EQ(hidden[0].node().kind, NodeRef::Kind::constant);
  EXPECT_GT(std::ranges::count(hidden[0].to_vector(), 0.0), 0);
}

// T11: the rates are probabilities to drop; each acts in its own place; 0 changes nothing; none acts outside training.
TEST_F(Gru4RecTest, DropoutRatesAreWhatTheySay) {
  options.layers = {800};
  const auto zeros = [&](double embed, double hidden_rate, bool training) {
    options.dropout_embed = embed;
    options.dropout_hidden = hidden_rate;
    const Built built(options);
    Hidden hidden = built.model.start(3);
    const Tensor out = built.model.step(Tensor::from<std::int64_t>({0, 1, 2}, Shape{3}), hidden,
                                        {.training = training, .seed = 5, .step = 0, .token_ids = {}});
    return std::pair(static_cast<double>(std::ranges::count(out.to_vector(), 0.0)) / 2400, out.to_vector());
  };
  const auto [none, plain] = zeros(0, 0, true);
  EXPECT_EQ(none, 0);
  EXPECT_EQ(zeros(0, 0, false).second, plain);
  EXPECT_EQ(zeros(.3, .4, false).second, plain);
  EXPECT_NEAR(zeros(0, .4, true).first, .4, .04);
  EXPECT_NEAR(zeros(0, .1, true).first, .1, .03);
  const auto [share, values_with_embed] = zeros(.3, 0, true);
  EXPECT_EQ(share, 0);  // input dropout sets no output to zero
  EXPECT_NE(values_with_embed, plain);
}

// T13: tables start Glorot uniform by their own fans.
TEST_F(Gru4RecTest, TablesStartWithinTheirBounds) {
  options.layers = {40, 20};
  options.embedding = 30;
  const auto largest = [&](Gru4RecInput input, const char* name) {
    options.input = input;
    const Built built(options);
    double most = 0;
    for (const double v : built.values(name)) most = std::max(most, std::abs(v));
    return most;
  };
  const auto expect_bound = [](double most, double fans) {
    EXPECT_LE(most, std::sqrt(6 / fans));
    EXPECT_GT(most, .9 * std::sqrt(6 / fans));
  };
  expect_bound(largest(Gru4RecInput::shared, "items/weight"), 6 + 20);
  expect_bound(largest(Gru4RecInput::separate, "embedding/weight"), 6 + 30);
  expect_bound(largest(Gru4RecInput::one_hot, "gates/weight"), 6 + 40);
  expect_bound(largest(Gru4RecInput::separate, "gru/0/input/weight"), 30 + 40);
  expect_bound(largest(Gru4RecInput::separate, "gru/1/input/weight"), 40 + 20);
}

// A one-hot input is a separate embedding that is the identity.
TEST_F(Gru4RecTest, OneHotIsAnIdentityEmbedding) {
  for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after}) {
    options.gru = variant;
    options.layers = {4, 3};
    options.input = Gru4RecInput::one_hot;
    const Built looked_up(options);
    options.input = Gru4RecInput::separate;
    options.embedding = 6;
    const Built embedded(options);
    const auto set = [](const Tensor& t, auto&& value) {
      for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(value(static_cast<std::size_t>(i)));
    };
    const auto gates = looked_up.values("gates/weight");  // [6, 12]
    set(embedded.store.find("embedding/weight").value(), [](std::size_t i) { return i / 6 == i % 6; });
    set(embedded.store.find("gru/0/input/weight").value(), [&](std::size_t i) { return gates[i % 6 * 12 + i / 6]; });
    const Tensor inputs = Tensor::from<std::int64_t>({5, 0, 3}, Shape{3});
    Hidden a = looked_up.model.start(3), b = embedded.model.start(3);
    for (int step = 0; step < 2; ++step) {
      const auto actual = looked_up.model.step(inputs, a, {}).to_vector(), expected = embedded.model.step(inputs, b, {}).to_vector();
      for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6);
    }
  }
}

TEST_F(Gru4RecTest, RefusesOptionsThatDoNotGoTogether) {
  options.input = Gru4RecInput::one_hot;
  options.dropout_embed = .1;
  EXPECT_THROW(Built{options}, ConfigError);
  options = {.layers = {}};
  EXPECT_THROW(Built{options}, ConfigError);
}

}  // namespace
}  // namespace capstan::nn
