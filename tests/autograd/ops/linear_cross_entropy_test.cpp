#include "autograd/ops/linear_cross_entropy.h"

#include <gtest/gtest.h>

#include "autograd/core/rng.h"
#include "autograd/core/storage.h"
#include "autograd/kernels/matmul.h"

namespace capstan {
namespace {

Tensor uniform(const Shape& shape, std::uint64_t seed, float scale = 1) {
  Rng rng(seed);
  Tensor t(shape);
  for (float& v : t.span<float>()) v = scale * static_cast<float>(rng.uniform(-1, 1));
  return t;
}

Tensor random_classes(std::int64_t n, std::int64_t low, std::int64_t high) {
  Rng rng(4);
  Tensor t({n}, DType::i64);
  for (std::int64_t& v : t.span<std::int64_t>()) v = low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low)));
  return t;
}

struct Result {
  double value = 0;
  std::vector<double> dx, dweight;
};

TEST(LinearCrossEntropy, IsCrossEntropyOfTheProductOverManyBlocks) {
  constexpr std::int64_t n = 2100, classes = 700, width = 20;  // three blocks
  const Tensor targets = random_classes(n, 0, classes), x = make_leaf(uniform({n, width}, 1)), w = make_leaf(uniform({classes, width}, 2));
  Result fused;
  {
    Tape tape;
    const Loss loss = linear_cross_entropy(x, w, {}, targets, {.reduction = Reduction::sum(), .label_smoothing = 0.1});
    const Gradients g = tape.backward(loss.value);
    fused = {loss.value.item(), g.of(x).dense().to_vector(), g.of(w).dense().to_vector()};
  }
  const Tensor logits({n, classes});
  kernels::matmul({.rows = n,
                   .columns = classes,
                   .depth = width,
                   .a = {.row = width, .column = 1},
                   .b = {.row = 1, .column = width},
                   .c = {.row = classes, .column = 1}},
                  x.data<const float>(), w.data<const float>(), logits.data<float>());
  const Tensor leaf = make_leaf(logits);
  Tape tape;
  const Loss loss = cross_entropy(leaf, targets, {.label_smoothing = 0.1, .reduction = Reduction::sum()});
  const Tensor g = tape.backward(loss.value).of(leaf).dense();
  const Tensor dx({n, width}), dw({classes, width});
  kernels::matmul({.rows = n,
                   .columns = width,
                   .depth = classes,
                   .a = {.row = classes, .column = 1},
                   .b = {.row = width, .column = 1},
                   .c = {.row = width, .column = 1}},
                  g.data<const float>(), w.data<const float>(), dx.data<float>());
  kernels::matmul({.rows = classes,
                   .columns = width,
                   .depth = n,
                   .a = {.row = 1, .column = classes},
                   .b = {.row = width, .column = 1},
                   .c = {.row = width, .column = 1}},
                  g.data<const float>(), x.data<const float>(), dw.data<float>());
  EXPECT_NEAR(fused.value, loss.value.item(), 1e-6 * fused.value);
  const std::vector<double> expected_dx = dx.to_vector(), expected_dw = dw.to_vector();
  for (std::size_t i = 0; i < expected_dx.size(); ++i) ASSERT_NEAR(fused.dx[i], expected_dx[i], 2e-6);
  for (std::size_t i = 0; i < expected_dw.size(); ++i) ASSERT_NEAR(fused.dweight[i], expected_dw[i], 1e-4);
}

TEST(LinearCrossEntropy, NeverHoldsAllLogits) {
  constexpr std::int64_t n = 4096, classes = 3000, width = 8;
  const Tensor x = make_leaf(uniform({n, width}, 1)), w = make_leaf(uniform({classes, width}, 2)), targets = random_classes(n, 1, classes);
  release_unused_memory();
  reset_peak_memory();
  const std::size_t before = memory_stats().live;
  Tape tape;
  const Loss loss = linear_cross_entropy(x, w, {}, targets, {.first_class = 1});
  EXPECT_LT(memory_stats().peak_live - before, sizeof(float) * n * classes / 4);
}

TEST(LinearCrossEntropy, TheLossIsTheSameWithoutATape) {
  const Tensor x = make_leaf(uniform({300, 8}, 1)), w = make_leaf(uniform({50, 8}, 2)), targets = random_classes(300, 0, 50);
  const double untaped = linear_cross_entropy(x, w, {}, targets).value.item();
  Tape tape;
  EXPECT_EQ(linear_cross_entropy(x, w, {}, targets).value.item(), untaped);
}

TEST(LinearCrossEntropy, ClassesBelowTheFirstGetNoGradient) {
  const Tensor x = make_leaf(uniform({5, 4}, 1)), w = make_leaf(uniform({6, 4}, 2)), bias = make_leaf(uniform({6}, 3));
  Tape tape;
  const Loss loss = linear_cross_entropy(x, w, bias, random_classes(5, 2, 6), {.first_class = 2});
  const Gradients g = tape.backward(loss.value);
  const std::vector<double> dw = g.of(w).dense().to_vector(), db = g.of(bias).dense().to_vector();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(dw[i], 0);
  EXPECT_EQ(db[0], 0);
  EXPECT_EQ(db[1], 0);
  double sum = 0;
  for (const double v : db) sum += v;
  EXPECT_NEAR(sum, 0, 1e-6);
  EXPECT_NE(db[2], 0);
}

}  // namespace
}  // namespace capstan
