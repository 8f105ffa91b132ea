// checkpoint: the same results and gradients with less memory, and errors instead of silently cut graphs.
#include "autograd/tape/checkpoint.h"

#include <gtest/gtest.h>

#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/storage.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/tape/tape.h"

namespace capstan {
namespace {

Tensor values(const Shape& shape, double first) {
  std::vector<double> list;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    list.push_back(first + .1 * static_cast<double>(i % 7) - .03 * static_cast<double>(i % 11));
  return Tensor::from(list, shape);
}

/// A part of a model with a parameter, a decision by key and two results.
struct Part {
  Tensor weight = make_leaf(values({4, 4}, -.2));
  std::vector<Tensor> operator()(std::span<const Tensor> in) const {
    const Tensor h = tanh(linear(in[0], weight));
    return {dropout(mul(h, in[1]), .5, 7), add(h, in[0])};
  }
};

std::vector<std::vector<double>> gradients(const Part& part, const Tensor& x, bool checkpointed) {
  Tape tape;
  const Tensor scaled = affine(x, 2);  // not a leaf
  std::vector<Tensor> y{scaled, x};
  for (int i = 0; i < 3; ++i) y = checkpointed ? checkpoint(part, y) : part(y);
  const Tensor loss = sum(mul(y[0], y[1]));
  const double value = loss.item();
  const Gradients g = tape.backward(loss);
  return {{value}, g.of(x).dense().to_vector(), g.of(part.weight).dense().to_vector()};
}

TEST(Checkpoint, GivesTheSameBits) {
  const Part part;
  const Tensor x = make_leaf(values({3, 4}, .3));
  EXPECT_EQ(gradients(part, x, true), gradients(part, x, false));
}

TEST(Checkpoint, KeepsInputsOnly) {
  const Tensor x = make_leaf(values({1000, 100}, .1));
  const auto peak = [&](bool checkpointed) {
    reset_peak_memory();
    const std::size_t before = memory_stats().live;
    Tape tape;
    Tensor y = x;
    const CheckpointedFunction four = [](std::span<const Tensor> in) { return std::vector{tanh(exp(tanh(affine(in[0], .5))))}; };
    for (int i = 0; i < 8; ++i) y = checkpointed ? checkpoint(four, {y})[0] : four(std::span(&y, 1))[0];
    tape.backward(sum(y));
    return memory_stats().peak_live - before;
  };
  EXPECT_LT(static_cast<double>(peak(true)), .65 * static_cast<double>(peak(false)));
}

TEST(Checkpoint, FindsParametersAlsoOfNestedOnes) {
  const Tensor a = make_leaf(Tensor::scalar(3, DType::f64)), b = make_leaf(Tensor::scalar(5, DType::f64));
  Tape tape;
  const Tensor one = Tensor::scalar(2, DType::f64);  // a constant: only the parameters want a gradient
  const auto y = checkpoint(
      [&](std::span<const Tensor> in) {
        return std::vector{mul(a, checkpoint([&](std::span<const Tensor> inner) { return std::vector{mul(inner[0], square(b))}; }, in)[0])};
      },
      {one});
  EXPECT_EQ(y[0].item(), 150);
  const Gradients g = tape.backward(y[0]);
  EXPECT_EQ(g.of(a).dense().item(), 50);
  EXPECT_EQ(g.of(b).dense().item(), 60);
}

TEST(Checkpoint, LeavesResultsThatNothingReachesAlone) {
  const Tensor x = make_leaf(Tensor::from({1., 2.}, {2}));
  Tape tape;
  const auto y = checkpoint([](std::span<const Tensor> in) { return std::vector{square(in[0]), exp(in[0]), in[0].detach()}; }, {x});
  const Tensor loss = sum(y[0]);
  EXPECT_EQ(tape.backward(loss).of(x).dense().to_vector(), (std::vector<double>{2, 4}));
}

TEST(Checkpoint, WithoutATapeIsTheFunction) {
  const Part part;
  int runs = 0;
  const auto counted = [&](std::span<const Tensor> in) {
    ++runs;
    return part(in);
  };
  const Tensor x = values({3, 4}, .3);
  {
    Tape tape;
    const NoGrad no_grad;
    EXPECT_EQ(checkpoint(counted, {x, x})[0].to_vector(), part(std::vector{x, x})[0].to_vector());
  }
  EXPECT_EQ(runs, 1);
}

TEST(Checkpoint, RefusesValuesOfTheTapeThatAreNotInputs) {
  const Tensor x = make_leaf(Tensor::scalar(2, DType::f64));
  Tape tape;
  const Tensor hidden = square(x);
  EXPECT_THROW(checkpoint([&](std::span<const Tensor> in) { return std::vector{mul(in[0], hidden)}; }, {x}), GraphError);
}

}  // namespace
}  // namespace capstan
