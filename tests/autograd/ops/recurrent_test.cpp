#include "autograd/ops/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "tests/autograd/ops/op_table.h"

namespace capstan {
namespace {

using testing::uniform;

// The deterministic weights of the recommender specification: det(s, i, j).
double det(int s, int i, int j) {
  return static_cast<double>((131 * s + 37 * i * i + 31 * i + 53 * j * j + 17 * j + 7 * (i + 1) * (j + 2) * (s + 3)) % 101 - 50) / 100;
}

// x W for one row, W = mat(s, rows, columns)
std::vector<double> times(const std::vector<double>& x, int s, int columns) {
  std::vector<double> y(static_cast<std::size_t>(columns));
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < static_cast<int>(x.size()); ++i) y[static_cast<std::size_t>(j)] += x[static_cast<std::size_t>(i)] * det(s, i, j);
  return y;
}

// Two rows of D = 2 inputs and H = 3 states: the gates' shares r, z, n with their input biases, weights 43..45 transposed.
struct StepCase {
  Tensor gates = Tensor::zeros({2, 9}, DType::f64), state, weight = Tensor::zeros({9, 3}, DType::f64),
         bias = Tensor::zeros({9}, DType::f64);
  StepCase() {
    const std::vector<std::vector<double>> x{{.5, -1}, {1, .25}};
    const int input_weight[] = {41, 42, 40}, input_bias[] = {47, 48, 46}, state_weight[] = {43, 44, 45};  // of r, z, n
    for (int gate = 0; gate < 3; ++gate) {
      for (int b = 0; b < 2; ++b) {
        const std::vector<double> share = times(x[static_cast<std::size_t>(b)], input_weight[gate], 3);
        for (int j = 0; j < 3; ++j)
          gates.data<double>()[b * 9 + gate * 3 + j] = share[static_cast<std::size_t>(j)] + det(input_bias[gate], j, 0);
      }
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) weight.data<double>()[(gate * 3 + j) * 3 + i] = det(state_weight[gate], i, j);
    }
    for (int j = 0; j < 3; ++j) bias.data<double>()[6 + j] = det(49, j, 0);
    state = Tensor::from({.2, -.4, .1, 0.0, 0.0, 0.0}, Shape{2, 3});
  }
};

void expect_near(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = actual.to_vector();
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "element " << i;
}

TEST(GruCell, GivesTheStepOfTheSpecification) {
  const StepCase c;
  for (const DType type : {DType::f64, DType::f32}) {
    const auto as = [&](const Tensor& t) { return testing::convert(t, type); };
    expect_near(gru_cell(as(c.gates), as(c.state), as(c.weight), {}, GruVariant::reset_before),
                {.157914, -.067753, -.306273, .154040, .138892, -.245827}, 2e-6);
    expect_near(gru_cell(as(c.gates), as(c.state), as(c.weight), as(c.bias), GruVariant::reset_after),
                {.257893, .305597, -.296581, .200102, .235185, -.314816}, 2e-6);
  }
}

// A sequence is its steps one after the other, in the outputs and in the gradients.
TEST(Gru, IsItsStepsInARow) {
  const std::int64_t batch = 2, time = 3, hidden = 4;
  for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after}) {
    const Tensor gates = uniform({batch, time, 3 * hidden}), state = uniform({batch, hidden}, -1, 1, 2);
    const Tensor weight = make_leaf(uniform({3 * hidden, hidden}, -1, 1, 3)), bias = uniform({3 * hidden}, -1, 1, 4);
    const Tensor cotangent = uniform({batch, hidden}, -1, 1, 5);

    Tape steps;
    Tensor h = state;
    for (std::int64_t t = 0; t < time; ++t) {
      const Layout at = gates.layout().slice(1, t, 1);
      h = gru_cell(gates.view(at.reshape(Shape{batch, 3 * hidden}).value()), h, weight, bias, variant);
    }
    const Gradients expected = steps.backward(std::span(&h, 1), std::span(&cotangent, 1));

    Tape whole;
    const auto [y, last] = gru(gates, state, weight, bias, {}, {.variant = variant});
    const Gradients actual = whole.backward(std::span(&last, 1), std::span(&cotangent, 1));
    expect_near(last, h.to_vector(), 1e-12);
    expect_near(y.detach().view(y.layout().slice(1, time - 1, 1)), h.to_vector(), 1e-12);
    expect_near(actual.of(weight).dense(), expected.of(weight).dense().to_vector(), 1e-12);
  }
}

// What stands at the pads cannot matter, and the result is that of the sequence alone.
template <class Layer>
void expect_pads_do_not_matter(std::int64_t gate_count, const Layer& layer) {
  const std::int64_t hidden = 3, time = 4;
  const Tensor weight = uniform({gate_count * hidden, hidden}, -1, 1, 3);
  for (const DType type : {DType::f64, DType::f32}) {
    const auto as = [&](const Tensor& t) { return testing::convert(t, type); };
    Tensor gates = uniform({2, time, gate_count * hidden});
    const Tensor lengths = Tensor::from<std::int64_t>({2, 4}, Shape{2});
    const std::vector<Tensor> first = layer(as(gates), as(weight), lengths);
    double* const pad = gates.data<double>() + 2 * gate_count * hidden;  // step 2 of sequence 0
    std::fill_n(pad, 2 * gate_count * hidden, 1e3);
    const std::vector<Tensor> second = layer(as(gates), as(weight), lengths);
    const std::vector<Tensor> alone = layer(as(gates.view(gates.layout().slice(0, 0, 1).slice(1, 0, 2)).clone()), as(weight), {});
    for (std::size_t k = 0; k < first.size(); ++k) {
      EXPECT_EQ(first[k].to_vector(), second[k].to_vector());
      const Layout row = first[k].layout().slice(0, 0, 1);
      if (k == 0) {  // outputs: those of the real steps, then zeros
        expect_near(first[0].view(row.slice(1, 0, 2)), alone[0].to_vector(), 1e-6);
        expect_near(first[0].view(row.slice(1, 2, 2)), std::vector<double>(2 * hidden, 0.0), 0);
      } else {
        expect_near(first[k].view(row), alone[k].to_vector(), 1e-6);
      }
    }
  }
}

TEST(Gru, PadsDoNotMatter) {
  for (const bool reverse : {false, true})
    for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after})
      expect_pads_do_not_matter(3, [&](const Tensor& gates, const Tensor& weight, const Tensor& lengths) {
        const auto [y, last] = gru(gates, {}, weight, {}, lengths, {variant, reverse});
        return std::vector<Tensor>{y, last};
      });
}

TEST(Lstm, PadsDoNotMatter) {
  for (const bool reverse : {false, true})
    expect_pads_do_not_matter(4, [&](const Tensor& gates, const Tensor& weight, const Tensor& lengths) {
      const auto [y, h, c] = lstm(gates, {}, {}, weight, {}, lengths, {reverse});
      return std::vector<Tensor>{y, h, c};
    });
}

TEST(Gru, ReverseIsForwardOnTheReversedSequence) {
  const std::int64_t time = 5, hidden = 2;
  const Tensor gates = uniform({1, time, 3 * hidden}), weight = uniform({3 * hidden, hidden}, -1, 1, 3);
  Tensor turned(gates.spec());
  for (std::int64_t t = 0; t < time; ++t)
    std::copy_n(gates.data<double>() + t * 3 * hidden, 3 * hidden, turned.data<double>() + (time - 1 - t) * 3 * hidden);
  const auto [y, last] = gru(gates, {}, weight, {}, {}, {.reverse = true});
  const auto [expected, expected_last] = gru(turned, {}, weight, {}, {});
  EXPECT_EQ(last.to_vector(), expected_last.to_vector());
  for (std::int64_t t = 0; t < time; ++t)
    for (std::int64_t j = 0; j < hidden; ++j)
      EXPECT_EQ(y.data<double>()[t * hidden + j], expected.data<double>()[(time - 1 - t) * hidden + j]);
}

// Saturated gates must not make NaN in the fast kernels, whose exp overflows.
TEST(Gru, SurvivesSaturatedGates) {
  const Tensor gates = Tensor::from<float>({-1e4f, 1e4f, 1e4f, 1e4f, -1e4f, -1e4f}, Shape{2, 3}), state = Tensor::full({2, 1}, .5);
  const Tensor weight = Tensor::zeros({3, 1});
  for (const auto variant : {GruVariant::reset_before, GruVariant::reset_after})
    for (const double v : gru_cell(gates, state, weight, {}, variant).to_vector()) EXPECT_TRUE(std::isfinite(v));
}

}  // namespace
}  // namespace capstan
