#include "autograd/tape/tape.h"

#include <gtest/gtest.h>

#include "autograd/tape/op.h"

namespace capstan {
namespace {

// y = a * b element by element in f64; b broadcasts over leading axes.
struct Product {
  static constexpr std::string_view name = "product";
  struct Args {};
  struct Saved { Tensor a, b; };
  static Spec spec(const Args&, const Spec& a, const Spec& b) { return {broadcast(name, a.shape, b.shape), a.dtype}; }
  static Tensor multiply(const Tensor& a, const Tensor& b) {
    Tensor y(broadcast(name, a.shape(), b.shape()), DType::f64);
    const Tensor ea = a.view(a.layout().expand(y.shape())).contiguous(), eb = b.view(b.layout().expand(y.shape())).contiguous();
    for (std::int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] = ea.data<double>()[i] * eb.data<double>()[i];
    return y;
  }
  static Tensor forward(const Args&, const Tensor& a, const Tensor& b, Saved& saved) {
    saved = {a, b};
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
  static std::array<Tensor, 2> forward(const Args&, const Tensor& x, Saved&) {
    const std::int64_t n = x.size(0) / 2;
    return {x.view(x.layout().slice(0, 0, n)), x.view(x.layout().slice(0, n, n))};
  }
  static Grads<1> backward(const Args&, const Saved&, const std::array<Tensor, 2>& dy, Needs<1>) {
    Tensor dx(Shape{2 * dy[0].numel()}, DType::f64);
    for (int half = 0; half < 2; ++half)
      for (std::int64_t i = 0; i < dy[0].numel(); ++i) dx.data<double>()[half * dy[0].numel() + i] = dy[static_cast<std::size_t>(half)].to_vector()[static_cast<std::size_t>(i)];
    return {dx};
  }
};

// Rows of a table; its gradient is row-sparse.
struct Rows {
  static constexpr std::string_view name = "rows";
  struct Args {};
  struct Saved { Tensor indices; Shape shape; };
  static Spec spec(const Args&, const Spec& table, const Spec& indices) { return {{indices.shape[0], table.shape[1]}, table.dtype}; }
  static Tensor forward(const Args&, const Tensor& table, const Tensor& indices, Saved& saved) {
    saved = {indices, table.shape()};
    Tensor y(Shape{indices.numel(), table.size(1)}, DType::f64);
    for (std::int64_t i = 0; i < y.numel(); ++i)
      y.data<double>()[i] = table.data<double>()[indices.data<std::int64_t>()[i / table.size(1)] * table.size(1) + i % table.size(1)];
    return y;
  }
  static Grads<2> backward(const Args&, const Saved& s, const Tensor& dy, Needs<2>) { return {Gradient::rows(s.indices, dy, s.shape), Gradient{}}; }
};

Tensor leaf(std::initializer_list<double> values) { return make_leaf(Tensor::from<double>(values, {static_cast<std::int64_t>(values.size())})); }

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

TEST(Tape, FillsOutputsWithoutGradientWithZeros) {
  const Tensor x = leaf({1, 2, 3, 4});
  Tape tape;
  const auto halves = apply<Halves>({}, x);
  const Tensor ones = Tensor::full({2}, 1.0, DType::f64);
  const Gradients g = tape.backward(std::span(&halves[1], 1), std::span(&ones, 1));
  EXPECT_EQ(g.of(x).dense().to_vector(), (std::vector<double>{0, 0, 1, 1}));
}

TEST(Tape, JoinsSparseAndDenseGradients) {
  const Tensor table = make_leaf(Tensor::full({3, 2}, 1.0, DType::f64));
  const auto seed = [](const Tensor& t) { return Tensor::full(t.shape(), 1.0, DType::f64); };
  {
    Tape tape;
    const std::array outputs{apply<Rows>({}, table, Tensor::from<std::int64_t>({0, 2}, {2})), apply<Rows>({}, table, Tensor::from<std::int64_t>({2}, {1}))};
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

TEST(Tape, RefusesWhatCannotBeRight) {
  const Tensor x = leaf({1, 2});
  Tape tape;
  const Tensor y = product(x, x);
  EXPECT_THROW(tape.backward(y), ShapeError) << "not a single element";
  EXPECT_THROW(tape.backward(Tensor::scalar(1.0, DType::f64)), InternalError) << "not recorded";
  const Tensor ones = Tensor::full({2}, 1.0, DType::f64);
  tape.backward(std::span(&y, 1), std::span(&ones, 1));
  EXPECT_THROW(tape.backward(std::span(&y, 1), std::span(&ones, 1)), InternalError) << "consumed";
  Tape next;
  EXPECT_THROW(product(y, x), InternalError) << "a value of another tape";
  EXPECT_NO_THROW(product(y.detach(), x));
}

TEST(Tape, FreesWhatEntriesHoldAsItWalks) {
  const Tensor x = make_leaf(Tensor::full({1 << 16}, 1.0, DType::f64));
  const std::size_t before = memory_stats().live;
  Tape tape;
  Tensor y = product(x, x);
  for (int i = 0; i < 8; ++i) y = product(y, x);
  const std::size_t recorded = memory_stats().live;
  EXPECT_GE(recorded, before + 8 * (sizeof(double) << 16));
  const Tensor cotangent = Tensor::full(x.shape(), 1.0, DType::f64);
  {
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&cotangent, 1));
    y = Tensor{};
    EXPECT_EQ(tape.size(), 0u);
    EXPECT_LE(memory_stats().live, before + 3 * (sizeof(double) << 16));
  }
}

}  // namespace
}  // namespace capstan
