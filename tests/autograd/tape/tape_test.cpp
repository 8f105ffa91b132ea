#include "autograd/tape/tape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace {

// y = a * b element by element in f64; b broadcasts over leading axes.
struct Product {
  static constexpr std::string_view name = "product";
  struct Args {};
  struct Saved {
    Tensor a, b;
  };
  static Spec spec(const Args&, const Spec& a, const Spec& b) { return {broadcast(name, a.shape, b.shape), a.dtype}; }
  static Tensor multiply(const Tensor& a, const Tensor& b) {
    Tensor y(broadcast(name, a.shape(), b.shape()), DType::f64);
    const Tensor ea = a.view(a.layout().expand(y.shape())).contiguous(), eb = b.view(b.layout().expand(y.shape())).contiguous();
    for (std::int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] = ea.data<double>()[i] * eb.data<double>()[i];
    return y;
  }
  static Tensor forward(const Args&, const Tensor& a, const Tensor& b, const Call<2>& call, Saved& saved) {
    if (call.records()) saved = {a, b};
    return multiply(a, b);
  }
  static Grads<2> backward(const Args&, const Saved& s, const Tensor& dy, Needs<2> needs) {
    ++runs;
    return {needs[0] ? Gradient(multiply(dy, s.b)) : Gradient{}, needs[1] ? Gradient(multiply(dy, s.a)) : Gradient{}};
  }
  static inline int runs = 0;
};
Tensor product(const Tensor& a, const Tensor& b) { return apply<Product>({}, a, b); }

// A second output that may stay without a gradient.
struct Halves {
  static constexpr std::string_view name = "halves";
  struct Args {};
  struct Saved {};
  static std::array<Spec, 2> spec(const Args&, const Spec& x) { return {Spec{{x.shape[0] / 2}, x.dtype}, Spec{{x.shape[0] / 2}, x.dtype}}; }
  static std::array<Tensor, 2> forward(const Args&, const Tensor& x, const Call<1, std::array<Spec, 2>>&, Saved&) {
    const std::int64_t n = x.size(0) / 2;
    return {x.view(x.layout().slice(0, 0, n)), x.view(x.layout().slice(0, n, n))};
  }
  static Grads<1> backward(const Args&, const Saved&, const std::array<Tensor, 2>& dy, Needs<1>) {
    arrived = {dy[0].defined(), dy[1].defined()};
    const std::int64_t n = (dy[0].defined() ? dy[0] : dy[1]).numel();
    const Tensor dx = Tensor::zeros({2 * n}, DType::f64);
    for (std::size_t half = 0; half < 2; ++half)
      if (dy[half].defined()) std::ranges::copy(dy[half].to_vector(), dx.data<double>() + static_cast<std::int64_t>(half) * n);
    return {dx};
  }
  static inline std::array<bool, 2> arrived{};
};

// Rows of a table; its gradient is row-sparse.
struct Rows {
  static constexpr std::string_view name = "rows";
  struct Args {};
  struct Saved {
    Tensor indices;
    Shape shape;
  };
  static Spec spec(const Args&, const Spec& table, const Spec& indices) { return {{indices.shape[0], table.shape[1]}, table.dtype}; }
  static Tensor forward(const Args&, const Tensor& table, const Tensor& indices, const Call<2>&, Saved& saved) {
    saved = {indices, table.shape()};
    Tensor y(Shape{indices.numel(), table.size(1)}, DType::f64);
    for (std::int64_t i = 0; i < y.numel(); ++i)
      y.data<double>()[i] = table.data<double>()[indices.data<std::int64_t>()[i / table.size(1)] * table.size(1) + i % table.size(1)];
    return y;
  }
  static Grads<2> backward(const Args&, const Saved& s, const Tensor& dy, Needs<2>) {
    return {Gradient::rows(s.indices, dy, s.shape), Gradient{}};
  }
};

Tensor leaf(std::initializer_list<double> values) {
  return make_leaf(Tensor::from<double>(values, {static_cast<std::int64_t>(values.size())}));
}

TEST(Tape, MultipliesGradientsBackThroughAChain) {
  const Tensor x = leaf({3}), y = leaf({5});
  Tape tape;
  const Tensor z = product(product(x, y), x);  // x^2 y
  const Gradients g = tape.backward(z);
  EXPECT_EQ(g.of(x).dense().item(), 30);
  EXPECT_EQ(g.of(y).dense().item(), 9);
  EXPECT_EQ(x.item(), 3) << "accumulation must not write into values";
}

TEST(Tape, SumsOverBroadcastAxes) {
  const Tensor x = make_leaf(Tensor::from<double>({1, 2, 3, 4, 5, 6}, {3, 2})), b = leaf({10, 100});
  Tape tape;
  const Tensor y = product(x, b);
  const Tensor ones = Tensor::full({3, 2}, 1.0, DType::f64);
  const Gradients g = tape.backward(std::span(&y, 1), std::span(&ones, 1));
  EXPECT_EQ(g.of(b).dense().to_vector(), (std::vector<double>{9, 12}));
}

TEST(Tape, SkipsWhatNoGradientReaches) {
  const Tensor x = leaf({2}), unused = leaf({3});
  Tape tape;
  const Tensor y = product(x, x);
  product(unused, x);
  Product::runs = 0;
  const Gradients g = tape.backward(y);
  EXPECT_EQ(Product::runs, 1);
  EXPECT_FALSE(g.of(unused).defined());
  EXPECT_EQ(g.of(x).dense().item(), 4);
}

TEST(Tape, RecordsNothingForConstantsNorUnderNoGrad) {
  const Tensor x = leaf({2}), c = Tensor::from<double>({2}, {1});
  Tape tape;
  product(c, c);
  EXPECT_EQ(tape.size(), 0u);
  {
    const NoGrad pause;
    EXPECT_EQ(product(x, x).node().kind, NodeRef::Kind::constant);
  }
  EXPECT_EQ(tape.size(), 0u);
  product(x, c);
  EXPECT_EQ(tape.size(), 1u);
}

TEST(Tape, TellsBackwardWhichOutputsNothingReached) {
  const Tensor x = leaf({1, 2, 3, 4});
  Tape tape;
  const auto halves = apply<Halves>({}, x);
  const Tensor ones = Tensor::full({2}, 1.0, DType::f64);
  const Gradients g = tape.backward(std::span(&halves[1], 1), std::span(&ones, 1));
  EXPECT_EQ(g.of(x).dense().to_vector(), (std::vector<double>{0, 0, 1, 1}));
  EXPECT_EQ(Halves::arrived, (std::array{false, true}));
}

// Elements [first, first + 2) of a row; its gradient is a slice.
struct Pair {
  static constexpr std::string_view name = "pair";
  struct Args {
    std::int64_t first;
  };
  struct Saved {
    Shape from;
  };
  static Spec spec(const Args&, const Spec& x) { return {{2}, x.dtype}; }
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>&, Saved& saved) {
    saved.from = x.shape();
    return x.view(x.layout().slice(0, args.first, 2));
  }
  static Grads<1> backward(const Args& args, const Saved& s, const Tensor& dy, Needs<1>) {
    return {Gradient::slice(dy, Layout(s.from).slice(0, args.first, 2), s.from)};
  }
};

TEST(Tape, AddsSlicesInPlace) {
  const Tensor x = leaf({1, 2, 3, 4, 5});
  Tape tape;
  const Tensor square = product(x, x);  // not a leaf: its backward reads the sum of the slices
  const Tensor a = apply<Pair>({0}, square), b = apply<Pair>({1}, square), c = apply<Pair>({3}, x);
  const std::array outputs{a, b, c};
  const std::array cotangents{Tensor::from<double>({1, 10}, {2}), Tensor::from<double>({100, 1000}, {2}),
                              Tensor::from<double>({5, 7}, {2})};
  EXPECT_EQ(tape.backward(outputs, cotangents).of(x).dense().to_vector(), (std::vector<double>{2, 440, 6000, 5, 7}));
}

TEST(Tape, WritesRowsOutWhereAnOperationReadsThem) {
  const Tensor x = make_leaf(Tensor::full({3, 2}, 3.0, DType::f64));
  Tape tape;
  const Tensor rows = apply<Rows>({}, product(x, x), Tensor::from<std::int64_t>({2, 2}, {2}));
  const Tensor ones = Tensor::full({2, 2}, 1.0, DType::f64);
  const Gradients g = tape.backward(std::span(&rows, 1), std::span(&ones, 1));
  EXPECT_EQ(g.of(x).dense().to_vector(), (std::vector<double>{0, 0, 0, 0, 12, 12}));
}

// y = x in bf16, with a gradient as wide as a sum makes it.
struct Wide {
  static constexpr std::string_view name = "wide";
  struct Args {};
  struct Saved {};
  static Spec spec(const Args&, const Spec& x) { return x; }
  static Tensor forward(const Args&, const Tensor& x, const Call<1>&, Saved&) { return x; }
  static Grads<1> backward(const Args&, const Saved&, const Tensor& dy, Needs<1>) {
    seen = dy.dtype();
    return {Tensor::full(dy.shape(), 1.00390625, DType::f32)};  // 1 + 2^-8: not a bf16 number
  }
  static inline DType seen = DType::f64;
};

TEST(Tape, KeepsGradientsWiderThanTheirValues) {
  const Tensor x = make_leaf(Tensor::full({2}, 1.0, DType::bf16));
  const Tensor ones = Tensor::full({2}, 1.0, DType::bf16);
  Tape tape;
  const std::array outputs{apply<Wide>({}, x), apply<Wide>({}, apply<Wide>({}, x))};
  const std::array cotangents{ones, ones};
  const Gradient g = tape.backward(outputs, cotangents).of(x);
  EXPECT_EQ(g.dtype(), DType::f32);
  EXPECT_EQ(g.dense().to_vector(), (std::vector<double>{2.0078125, 2.0078125})) << "the sum was not rounded";
  EXPECT_EQ(Wide::seen, DType::bf16) << "an operation reads gradients in its output's type";
}

TEST(Tape, HandsALeafOutWhenNothingCanBeAddedAnyMore) {
  const Tensor first = leaf({2}), second = leaf({3}), both = leaf({5}), unused = leaf({7});
  Tape tape;
  product(unused, unused);
  const Tensor early = product(first, both), late = product(second, both), y = product(early, late);
  std::vector<std::uint64_t> order;
  std::vector<double> values;
  tape.backward(y, [&](std::uint64_t number, const Gradient& g) {
    order.push_back(number);
    values.push_back(g.dense().item());
  });
  EXPECT_EQ(order, (std::vector{second.node().owner, first.node().owner, both.node().owner})) << "the last used first";
  EXPECT_EQ(values, (std::vector<double>{50, 75, 60}));
}

TEST(Gradient, OfAllFormsAdd) {
  const auto rows = [](const std::vector<std::int64_t>& indices, float value) {
    const auto n = static_cast<std::int64_t>(indices.size());
    return Gradient::rows(Tensor::from(indices, {n}), Tensor::full({n, 2}, static_cast<double>(value)), {4, 2});
  };
  Gradient held;
  held.add(Gradient());
  EXPECT_FALSE(held.defined());
  held.add(rows({1, 3}, 1));
  held.add(rows({3}, 2));
  ASSERT_TRUE(held.is_sparse());
  EXPECT_EQ(held.indices().to_vector(), (std::vector<double>{1, 3, 3}));
  EXPECT_EQ(held.row_values().to_vector(), (std::vector<double>{1, 1, 1, 1, 2, 2}));
  const Tensor dense = Tensor::full({4, 2}, 10);
  held.add(Gradient(dense));
  EXPECT_EQ(held.dense().to_vector(), (std::vector<double>{10, 10, 11, 11, 10, 10, 13, 13}));
  EXPECT_EQ(dense.to_vector(), std::vector<double>(8, 10)) << "memory that others see is not written";
  held.add(Gradient(dense));
  EXPECT_EQ(held.dense().to_vector(), (std::vector<double>{20, 20, 21, 21, 20, 20, 23, 23}));

  const auto slice = [](double value, std::int64_t first) {
    return Gradient::slice(Tensor::full({2, 2}, value), Layout(Shape{4, 2}).slice(0, first, 2), Shape{4, 2});
  };
  Gradient parts = slice(1, 0);
  EXPECT_TRUE(parts.is_slice());
  EXPECT_EQ(parts.to_dense().to_vector(), (std::vector<double>{1, 1, 1, 1, 0, 0, 0, 0}));
  parts.add(slice(2, 1));
  EXPECT_EQ(parts.dense().to_vector(), (std::vector<double>{1, 1, 3, 3, 2, 2, 0, 0}));
  const float* const memory = parts.dense().data<float>();
  parts.add(slice(4, 2));
  EXPECT_EQ(parts.dense().data<float>(), memory) << "a slice is added where it belongs, nothing is copied";
  EXPECT_EQ(parts.dense().to_vector(), (std::vector<double>{1, 1, 3, 3, 6, 6, 4, 4}));
  parts = slice(1, 0);
  parts.add(rows({0, 3}, 8));
  EXPECT_EQ(parts.dense().to_vector(), (std::vector<double>{9, 9, 1, 1, 0, 0, 8, 8}));
}

TEST(Gradient, IsSmall) { EXPECT_LE(sizeof(Gradient), 224u); }

TEST(Tape, JoinsSparseAndDenseGradients) {
  const Tensor table = make_leaf(Tensor::full({3, 2}, 1.0, DType::f64));
  const auto seed = [](const Tensor& t) { return Tensor::full(t.shape(), 1.0, DType::f64); };
  {
    Tape tape;
    const std::array outputs{apply<Rows>({}, table, Tensor::from<std::int64_t>({0, 2}, {2})),
                             apply<Rows>({}, table, Tensor::from<std::int64_t>({2}, {1}))};
    const std::array cotangents{seed(outputs[0]), seed(outputs[1])};
    const Gradient g = tape.backward(outputs, cotangents).of(table);
    ASSERT_TRUE(g.is_sparse());
    EXPECT_EQ(g.indices().numel(), 3);
  }
  for (const bool sparse_first : {false, true}) {
    Tape tape;
    const Tensor rows = apply<Rows>({}, table, Tensor::from<std::int64_t>({2, 2}, {2})), dense = product(table, table);
    std::array outputs{dense, rows};
    if (sparse_first) std::swap(outputs[0], outputs[1]);
    const std::array cotangents{seed(outputs[0]), seed(outputs[1])};
    const Gradient g = tape.backward(outputs, cotangents).of(table);
    ASSERT_FALSE(g.is_sparse());
    EXPECT_EQ(g.dense().to_vector(), (std::vector<double>{2, 2, 2, 2, 4, 4}));
  }
}

// A term of a loss is a constant when everything beneath it is frozen; the other terms are none the less differentiated.
TEST(Tape, GoesBackFromTheOutputsThatAreRecorded) {
  const Tensor x = leaf({1, 2}), constant = Tensor::full({2}, 3.0, DType::f64);
  const Tensor cotangents[] = {Tensor::full({2}, 5.0, DType::f64), Tensor::full({2}, 1.0, DType::f64)};
  {
    Tape tape;
    const Tensor outputs[] = {constant, product(x, x)};
    EXPECT_EQ(tape.backward(outputs, cotangents).of(x).dense().to_vector(), (std::vector<double>{2, 4}));
  }
  Tape tape;
  product(x, x);
  const Tensor outputs[] = {constant, constant};
  EXPECT_THROW(tape.backward(outputs, cotangents), GraphError) << "no output is recorded";
}

TEST(Tape, RefusesWhatCannotBeRight) {
  const Tensor x = leaf({1, 2});
  Tape tape;
  const Tensor y = product(x, x);
  EXPECT_THROW(tape.backward(y), ShapeError) << "not a single element";
  EXPECT_THROW(tape.backward(Tensor::scalar(1.0, DType::f64)), GraphError) << "not recorded";
  const Tensor ones = Tensor::full({2}, 1.0, DType::f64);
  tape.backward(std::span(&y, 1), std::span(&ones, 1));
  EXPECT_THROW(tape.backward(std::span(&y, 1), std::span(&ones, 1)), GraphError) << "consumed";
  Tape next;
  EXPECT_THROW(product(y, x), GraphError) << "a value of another tape";
  EXPECT_NO_THROW(product(y.detach(), x));
}

TEST(Tape, IsNotLeftWithoutAWord) {
  const Tensor x = leaf({1, 2, 3, 4});
  Tape tape;
  const Tensor y = product(x, x);
  for (const Tensor& t : {x, y}) {
    EXPECT_THROW(t.view(Layout(Shape{2, 2})), GraphError);
    EXPECT_THROW(t.clone(), GraphError);
    EXPECT_THROW(make_leaf(t), GraphError);
    EXPECT_EQ(t.contiguous().node().kind, t.node().kind) << "nothing to copy: the same value";
    EXPECT_NO_THROW(t.detach().clone());
  }
  const Tensor every_second = apply<Halves>({}, y)[0].detach().view(Layout(Shape{2}).slice(0, 0, 1, 2));
  EXPECT_NO_THROW(every_second.contiguous());
  const Tensor strided = make_leaf(Tensor::from<double>({1, 2, 3, 4}, {2, 2}).view(Layout(Shape{2, 2}).transpose(0, 1)));
  EXPECT_THROW(strided.contiguous(), GraphError);
  EXPECT_THROW(make_leaf(Tensor::zeros({2}, DType::i64)), DTypeError);
  EXPECT_THROW(Parameter("p", y), GraphError);
  EXPECT_THROW(Parameter("p", x), GraphError);
  // A strided result of an op: a copy is a new value, which only the op of this name records.
  const Tensor turned = transpose(strided, 0, 1), every_other = slice(y, 0, 0, 2, 2);
  for (const Tensor& t : {slice(turned, 1, 0, 1), every_other}) {
    EXPECT_FALSE(t.is_contiguous());
    EXPECT_THROW(t.contiguous(), GraphError);
    EXPECT_THROW(t.view(t.layout()), GraphError) << "even the same layout";
    EXPECT_NO_THROW(contiguous(t));
  }
}

// What a stranger writes who keeps weights as plain tensors: whatever loses a gradient throws, and the op of the name does not lose it.
TEST(Tape, KeepsTheGradientsOfAModelMadeOfTensors) {
  struct Model {
    Tensor weight = make_leaf(Tensor::from<double>({1, 2, 3, 4, 5, 6}, {2, 3})), gain = make_leaf(Tensor::from<double>({.5, 2}, {2}));
    Tensor operator()(Tensor (*copied)(const Tensor&)) const {
      const Tensor table = copied(transpose(weight, 0, 1));  // [3, 2]
      return sum(mul(table, copied(slice(concat({gain, gain}, 0), 0, 0, 2, 2))));
    }
  };
  const Model model;
  {
    const Tape tape;
    EXPECT_THROW(model([](const Tensor& t) { return t.contiguous(); }), GraphError);
    EXPECT_THROW(model([](const Tensor& t) { return t.clone(); }), GraphError);
    EXPECT_THROW(model([](const Tensor& t) { return t.view(Layout(t.shape())); }), GraphError);
  }
  Tape tape;
  const Tensor loss = model([](const Tensor& t) { return contiguous(t); });
  EXPECT_EQ(loss.item(), 21 * .5);
  const Gradients g = tape.backward(loss);
  EXPECT_EQ(g.of(model.weight).to_dense().to_vector(), std::vector<double>(6, .5));
  EXPECT_EQ(g.of(model.gain).to_dense().to_vector(), (std::vector<double>{21, 0}));
}

// A decoder runs its cell step by step, each reading its step of x. What backward asks of the arena counts here in the place of time: a
// table of all steps for the gradient of each would make it four times as much for twice the steps.
TEST(Tape, CostsOfADecoderGrowWithItsSteps) {
  constexpr std::int64_t kBatch = 8, kHidden = 16;
  const auto bytes_of_backward = [](std::int64_t steps) {
    const Tensor x = make_leaf(Tensor::full({kBatch, steps, 4 * kHidden}, .1)),
                 weight = make_leaf(Tensor::full({4 * kHidden, kHidden}, .01));
    Tape tape;
    Tensor h = Tensor::zeros({kBatch, kHidden}), c = h;
    std::vector<Tensor> states;
    for (std::int64_t t = 0; t < steps; ++t) {
      const auto [next_h, next_c] = lstm_cell(select(x, 1, t), h, c, weight);
      h = next_h;
      c = next_c;
      states.push_back(h);
    }
    const Tensor loss = sum(stack(states, 1));
    const std::size_t before = memory_stats().handed_out;
    const Gradients g = tape.backward(loss);
    const std::size_t after = memory_stats().handed_out;
    EXPECT_EQ(g.of(x).to_dense().shape(), x.shape());
    return static_cast<double>(after - before) / static_cast<double>(steps);
  };
  const double of_256 = bytes_of_backward(256), of_512 = bytes_of_backward(512);
  EXPECT_LT(of_512, 1.1 * of_256) << "bytes a step";
  EXPECT_LT(of_512, 64.0 * kBatch * 4 * kHidden) << "bytes a step: some tensors of the size of its gates";
}

TEST(Tape, FreesWhatEntriesHoldAsItPasses) {
  const Tensor x = make_leaf(Tensor::full({1 << 16}, 1.0, DType::f64));
  const std::size_t before = memory_stats().live;
  Tape tape;
  Tensor y = product(x, x);
  for (int i = 0; i < 64; ++i) y = product(y, x);
  const std::size_t recorded = memory_stats().live;
  EXPECT_GE(recorded, before + 64 * (sizeof(double) << 16));
  const Tensor cotangent = Tensor::full(x.shape(), 1.0, DType::f64);
  {
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
    y = Tensor{};
    EXPECT_EQ(tape.size(), 0u);
    EXPECT_LE(memory_stats().live, before + 2 * 3 * (sizeof(double) << 16)) << "three tensors, in blocks of up to twice their size";
  }
}

}  // namespace
}  // namespace capstan
