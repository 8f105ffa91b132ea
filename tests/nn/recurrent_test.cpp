// GRU and LSTM layers against PyTorch, and against numbers worked out by hand.

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "autograd/ops/shape_ops.h"
#include "nn/recurrent.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

Tensor joined(const Tensor& output, const std::vector<Tensor>& states) {
  std::vector<Tensor> parts{flatten(output)};
  for (const Tensor& s : states) parts.push_back(flatten(s));
  return concat(parts, 0);
}

Tensor run(const Gru& layer, const Tensor& x, const Tensor& lengths) {
  const auto [output, last] = layer(x, lengths);
  return joined(output, last);
}

Tensor run(const Lstm& layer, const Tensor& x, const Tensor& lengths) {
  const auto [output, last] = layer(x, lengths);
  std::vector<Tensor> states;
  for (const LstmState& s : last) states.push_back(s.h);
  for (const LstmState& s : last) states.push_back(s.c);
  return joined(output, states);
}

template <class Cell>
void expect_parity(const std::string& name) {
  in_both_precisions([&](DType dtype, double tolerance) {
    const auto check = [&](const std::string& kind, const RecurrentOptions<Cell>& options, bool with_lengths) {
      SCOPED_TRACE(name + "/" + kind);
      const Golden golden(name + "/" + kind, dtype, "recurrent");
      ParameterStore store(1, dtype);
      const Recurrent<Cell> layer(store.root(), options);
      Tensor lengths;
      if (with_lengths) {
        const std::vector<double> values = golden.values("lengths");
        lengths = Tensor::from(std::vector<std::int64_t>(values.begin(), values.end()), Shape{static_cast<std::int64_t>(values.size())});
      }
      golden.expect(store, tolerance, [&] { return run(layer, golden.input("x"), lengths); });
    };
    check("plain", {.cell = {.input = 3, .hidden = 4}}, false);
    check("no_bias", {.cell = {.input = 3, .hidden = 4, .bias = false}}, false);
    check("deep_bidirectional_lengths", {.cell = {.input = 3, .hidden = 2}, .layers = 2, .bidirectional = true}, true);
  });
}

TEST(Gru, EqualsPyTorch) { expect_parity<GruCell>("gru"); }
TEST(Lstm, EqualsPyTorch) { expect_parity<LstmCell>("lstm"); }

// Parameters by formula in the order weight_ih, weight_hh, bias_ih, bias_hh, then those of the backward direction.
void fill(const ParameterStore& store) {
  int t = 0;
  for (const char* const direction : {"0/forward/", "0/backward/"})
    for (const char* const name : {"input/weight", "state/weight", "input/bias", "state/bias"}) {
      const std::string path = std::string(direction) + name;
      for (const Parameter& p : store.parameters())
        if (p.name() == path) set_values(p.write(), sines(t, 0, static_cast<int>(p.value().numel())));
      ++t;
    }
}

TEST(Lstm, GivesTheHandCheckedNumbersInBothDirections) {
  in_both_precisions([](DType dtype, double) {
    ParameterStore store(1, dtype);
    const Lstm layer(store.root(), {.cell = {.input = 2, .hidden = 2}, .bidirectional = true});
    fill(store);
    Tensor x({1, 3, 2}, dtype);
    set_values(x, cosine({3, 1, 2}, 0).to_vector());
    const auto [output, last] = layer(x);
    expect_rounded(output.to_vector(),
                   {-.075732, -.012791, -.105156, -.044777, -.099509, -.083679, -.162548, -.098701, -.085773, -.196342, -.147817, -.124341},
                   6, "output");
    expect_rounded(last[0].h.to_vector(), {-.085773, -.196342}, 6, "h, forward");
    expect_rounded(last[1].h.to_vector(), {-.105156, -.044777}, 6, "h, backward");
    expect_rounded(last[0].c.to_vector(), {-.229113, -.411406}, 6, "c, forward");
    expect_rounded(last[1].c.to_vector(), {-.234795, -.091508}, 6, "c, backward");
  });
}

TEST(Gru, GivesTheHandCheckedNumbers) {
  in_both_precisions([](DType dtype, double) {
    ParameterStore store(1, dtype);
    const Gru layer(store.root(), {.cell = {.input = 2, .hidden = 2}});
    fill(store);
    Tensor x({1, 3, 2}, dtype);
    set_values(x, cosine({3, 1, 2}, 0).to_vector());
    expect_rounded(layer(x).output.to_vector(), {-.099191, .008255, -.138336, -.101835, -.126161, -.258408}, 6, "output");
  });
}

// A cell stepped through a sequence is the layer.
TEST(LstmCell, StepsAreTheSequence) {
  ParameterStore store(3, DType::f64);
  const LstmCell cell(store.root(), {.input = 3, .hidden = 4});
  const Tensor x = cosine({2, 5, 3}, .3);
  LstmState state{Tensor::zeros({2, 4}, DType::f64), Tensor::zeros({2, 4}, DType::f64)};
  for (std::int64_t t = 0; t < 5; ++t) state = cell.step(select(x, 1, t), state);
  const auto sequence = cell.sequence(x, {}, {}, false);
  expect_close(sequence.last.h.to_vector(), state.h.to_vector(), 1e-14, "h");
  expect_close(sequence.last.c.to_vector(), state.c.to_vector(), 1e-14, "c");
}

TEST(Gru, ContinuesFromAGivenState) {
  ParameterStore store(3, DType::f64);
  const Gru layer(store.root(), {.cell = {.input = 3, .hidden = 4}, .layers = 2});
  const Tensor x = cosine({2, 5, 3}, .3);
  const auto whole = layer(x), head = layer(slice(x, 1, 0, 2)), tail = layer(slice(x, 1, 2, 3), {}, {}, head.last);
  expect_close(tail.output.to_vector(), slice(whole.output, 1, 2, 3).to_vector(), 1e-14, "output");
  EXPECT_THROW(layer(x, {}, {}, std::span(head.last).first(1)), ShapeError);
}

// With the input projection made by the caller, as where inputs are rows of a table.
TEST(RecurrentCells, StepFromAProjectionOfTheCaller) {
  ParameterStore store(3, DType::f64);
  const GruCell gru(store.root() / "gru", {.input = 3, .hidden = 4});
  const LstmCell lstm(store.root() / "lstm", {.input = 3, .hidden = 4}), bare(store.root() / "bare", {.hidden = 4});
  const Tensor x = cosine({2, 3}, .3), h = cosine({2, 4}, 1), c = cosine({2, 4}, 2);
  EXPECT_EQ(gru.step_from_projection(gru.input_projection(x), h).to_vector(), gru.step(x, h).to_vector());
  EXPECT_EQ(lstm.step_from_projection(lstm.input_projection(x), {h, c}).c.to_vector(), lstm.step(x, {h, c}).c.to_vector());
  EXPECT_EQ(bare.step_from_projection(cosine({2, 16}, 0), {h, c}).h.shape(), (Shape{2, 4}));
  EXPECT_THROW(bare.step(x, {h, c}), ShapeError);
  EXPECT_THROW(LstmCell(store.root() / "none", {.input = 3}), ConfigError);
  EXPECT_THROW(Lstm(store.root() / "no_input", {.cell = {.hidden = 4}}), ConfigError);
}

template <class Cell>
void expect_dropout_between_layers() {
  const auto output = [](std::int64_t layers, double dropout, bool training) {
    ParameterStore store(3, DType::f64);
    const Recurrent<Cell> layer(store.root(), {.cell = {.input = 3, .hidden = 4}, .layers = layers, .dropout = dropout});
    return layer(cosine({2, 5, 3}, .3), {}, {.training = training, .seed = 2}).output.to_vector();
  };
  EXPECT_EQ(output(1, .5, true), output(1, 0, true)) << "not of the last layer";
  EXPECT_NE(output(2, .5, true), output(2, 0, true));
  EXPECT_EQ(output(2, .5, false), output(2, 0, false));
}
TEST(Gru, DropsOutBetweenLayers) { expect_dropout_between_layers<GruCell>(); }
TEST(Lstm, DropsOutBetweenLayers) { expect_dropout_between_layers<LstmCell>(); }

// Each gate's matrix starts within the bound of its own fans, not of the stacked matrix, and reaches it nearly.
TEST(GruCell, StartsGlorotUniformPerGate) {
  ParameterStore store(7);
  const std::int64_t in = 20, hidden = 50;
  const GruCell cell(store.root(), {.input = in, .hidden = hidden});
  for (const auto& [name, fan] : {std::pair{"input/weight", in}, {"state/weight", hidden}}) {
    const double bound = std::sqrt(6.0 / static_cast<double>(fan + hidden));
    const std::vector<double> values = store.find(name).value().to_vector();
    const std::size_t part = values.size() / 3;
    for (std::size_t gate = 0; gate < 3; ++gate) {
      const auto [low, high] = std::minmax_element(values.begin() + static_cast<std::ptrdiff_t>(gate * part),
                                                   values.begin() + static_cast<std::ptrdiff_t>((gate + 1) * part));
      EXPECT_LE(*high, bound);
      EXPECT_GE(*low, -bound);
      EXPECT_GT(*high, .95 * bound) << name << ", gate " << gate;
      EXPECT_LT(*low, -.95 * bound) << name << ", gate " << gate;
    }
    EXPECT_FALSE(
        std::equal(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(part), values.begin() + static_cast<std::ptrdiff_t>(part)))
        << "gates start alike";
  }
  for (const double b : store.find("input/bias").value().to_vector()) EXPECT_EQ(b, 0);
}

}  // namespace
}  // namespace capstan::nn
