// Every way to compute a product against the plain loops in f64, over the shapes at which one gives way to another.

#include "autograd/kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"

namespace capstan::kernels {
namespace {

template <class T>
std::vector<T> random_values(std::int64_t n, std::uint64_t seed) {
  Rng rng(random_key(seed, "matmul_test"));
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = T(static_cast<float>(rng.uniform(-1, 1)));
  return values;
}
template <class T>
std::vector<double> widened(const std::vector<T>& values) {
  std::vector<double> out;
  for (const T v : values) out.push_back(static_cast<double>(v));
  return out;
}

struct Case {
  std::int64_t rows, columns, depth;
  bool a_transposed = false, b_transposed = false, c_transposed = false;
  bool bias = false;
  double alpha = 1, beta = 0;
  std::int64_t batch = 1;
  bool shared_b = false;
  std::int64_t gap = 0;  // elements between rows
};

// The layout of a batch of [rows, columns] and the elements it spans.
MatrixLayout dense(std::int64_t rows, std::int64_t columns, bool transposed, std::int64_t gap, std::int64_t& size) {
  MatrixLayout m;
  m.row = transposed ? 1 : columns + gap;
  m.column = transposed ? rows + gap : 1;
  m.batch[0] = size = (transposed ? columns : rows) * ((transposed ? rows : columns) + gap);
  return m;
}

template <class T, class Out>
void check(const Case& t) {
  MatmulProblem p{.in = dtype_of<T>, .out = dtype_of<Out>, .rows = t.rows, .columns = t.columns, .depth = t.depth, .batch = Shape{t.batch}};
  p.alpha = t.alpha, p.beta = t.beta;
  std::int64_t size_a = 0, size_b = 0, size_c = 0;
  p.a = dense(t.rows, t.depth, t.a_transposed, t.gap, size_a);
  p.b = dense(t.depth, t.columns, t.b_transposed, t.gap, size_b);
  p.c = dense(t.rows, t.columns, t.c_transposed, t.gap, size_c);
  if (t.shared_b) p.b.batch[0] = 0;
  const auto a = random_values<T>(size_a * t.batch, 1), b = random_values<T>(size_b * t.batch, 2), bias = random_values<T>(t.columns, 3);
  auto c = random_values<Out>(size_c * t.batch, 4);
  const auto wide_a = widened(a), wide_b = widened(b), wide_bias = widened(bias);
  auto expected = widened(c);
  matmul(p, a.data(), b.data(), c.data(), t.bias ? bias.data() : nullptr);
  MatmulProblem wide = p;
  wide.in = wide.out = DType::f64;
  matmul(wide, wide_a.data(), wide_b.data(), expected.data(), t.bias ? wide_bias.data() : nullptr);
  const double epsilon = std::is_same_v<Out, float> ? 1e-6 * std::sqrt(static_cast<double>(t.depth) + 4) : 8e-3;
  for (std::size_t i = 0; i < c.size(); ++i)
    ASSERT_NEAR(static_cast<double>(c[i]), expected[i], epsilon * (std::sqrt(static_cast<double>(t.depth)) + std::abs(expected[i])))
        << "element " << i;
}

void check_all_types(const Case& t) {
  SCOPED_TRACE(::testing::Message() << t.rows << " x " << t.columns << " x " << t.depth << " transposed " << t.a_transposed
                                    << t.b_transposed << t.c_transposed << " batch " << t.batch << " gap " << t.gap);
  check<float, float>(t);
  check<bfloat16, bfloat16>(t);
  check<bfloat16, float>(t);
}

TEST(Matmul, OddSizesInAllLayouts) {
  for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1}, {7, 5, 3}, {13, 50, 17}, {33, 209, 40}, {200, 130, 101}}) {
    for (int layout = 0; layout < 8; ++layout) {
      Case t{.rows = m, .columns = n, .depth = k};
      t.a_transposed = layout & 1, t.b_transposed = layout & 2, t.c_transposed = layout & 4;
      check_all_types(t);
      t.gap = 3;
      check_all_types(t);
    }
  }
}

TEST(Matmul, AddsBiasAlphaAndBeta) {
  for (const std::int64_t m : {5, 300}) {
    check_all_types({.rows = m, .columns = 67, .depth = 90, .bias = true});
    check_all_types({.rows = m, .columns = 67, .depth = 90, .alpha = 0.25, .beta = 0.5});
    check_all_types({.rows = m, .columns = 67, .depth = 90, .bias = true, .beta = 1.0});
  }
}

TEST(Matmul, NothingOfAProductMaybeBesideC) {
  check_all_types({.rows = 40, .columns = 67, .depth = 90, .alpha = 0});
  check_all_types({.rows = 40, .columns = 67, .depth = 90, .alpha = 0, .beta = 0.5});
}

TEST(Matmul, BatchesOwnAndShared) {
  for (const bool shared : {false, true}) {
    check_all_types({.rows = 6, .columns = 9, .depth = 5, .batch = 7, .shared_b = shared});
    check_all_types({.rows = 60, .columns = 90, .depth = 50, .b_transposed = true, .batch = 17, .shared_b = shared, .gap = 2});
  }
}

TEST(Matmul, GreatDepthAndTallWeightGradients) {
  for (const Case& t : {Case{.rows = 50, .columns = 33, .depth = 5001, .a_transposed = true},
                        Case{.rows = 1200, .columns = 16, .depth = 130, .a_transposed = true},
                        Case{.rows = 50, .columns = 33, .depth = 5001, .a_transposed = true, .alpha = 0.5, .beta = 2.0}})
    check_all_types(t);
}

TEST(Matmul, TallTransposedProductsWithABias) {  // the transposed product takes no bias
  for (const Case& t :
       {Case{.rows = 1200, .columns = 16, .depth = 130, .a_transposed = true, .bias = true},
        Case{.rows = 1200, .columns = 16, .depth = 130, .a_transposed = true, .b_transposed = true, .bias = true},
        Case{.rows = 1100, .columns = 17, .depth = 40, .a_transposed = true, .b_transposed = true, .bias = true, .beta = 0.5},
        Case{.rows = 3200, .columns = 768, .depth = 24, .a_transposed = true, .bias = true}})
    check_all_types(t);
}

TEST(Matmul, RowsThatMeetInTheCache) {
  for (const bool transposed : {false, true}) {
    check<float, float>({.rows = 512, .columns = 1024, .depth = 33, .a_transposed = transposed});
    check<float, float>({.rows = 513, .columns = 768, .depth = 20, .a_transposed = transposed, .bias = true, .beta = 0.5});
  }
}

TEST(Matmul, ChoosesAsMeasured) {
  const auto chosen = [](std::int64_t m, std::int64_t n, std::int64_t k, bool transposed, DType dtype = DType::f32, bool has_bias = false) {
    MatmulProblem p{.in = dtype, .out = dtype, .rows = m, .columns = n, .depth = k};
    p.a = transposed ? MatrixLayout{.row = 1, .column = m, .batch = {}} : MatrixLayout{.row = k, .column = 1, .batch = {}};
    p.b = {.row = n, .column = 1, .batch = {}};
    p.c = p.b;
    return choose_matmul_kernel(p, has_bias);
  };
  EXPECT_EQ(chosen(32, 100, 100, false), MatmulKernel::library);
  EXPECT_EQ(chosen(50, 50, 25600, true), MatmulKernel::split);
  EXPECT_EQ(chosen(25600, 50, 50, false), MatmulKernel::library);
  EXPECT_EQ(chosen(30522, 128, 1024, true), MatmulKernel::library_transposed);
  EXPECT_EQ(chosen(3416, 100, 512, true, DType::bf16), MatmulKernel::library_transposed);
  EXPECT_EQ(chosen(3416, 256, 512, true, DType::bf16), MatmulKernel::library);
  EXPECT_EQ(chosen(32, 100, 100, false, DType::bf16), MatmulKernel::library);
  EXPECT_EQ(chosen(3416, 50, 512, true, DType::f32, true), MatmulKernel::library);
  EXPECT_EQ(chosen(3416, 768, 512, true, DType::bf16, true), MatmulKernel::library);
  EXPECT_EQ(chosen(1024, 3072, 768, false), MatmulKernel::library_padded);
  EXPECT_EQ(chosen(768, 3072, 1024, true), MatmulKernel::library_padded);
  EXPECT_EQ(chosen(256, 1024, 4096, true), MatmulKernel::library);
  EXPECT_EQ(chosen(1024, 3080, 768, false), MatmulKernel::library);
}

TEST(Matmul, ReadsNothingOfCWithoutBeta) {
  const std::vector<float> a{1, 2}, b{3, 4};
  float c = std::nanf("");
  MatmulProblem p{.rows = 1, .columns = 1, .depth = 2};
  p.a = {.row = 2, .column = 1, .batch = {}}, p.b = {.row = 1, .column = 1, .batch = {}}, p.c = {.row = 1, .column = 1, .batch = {}};
  matmul(p, a.data(), b.data(), &c);
  EXPECT_EQ(c, 11.0f);
}

}  // namespace
}  // namespace capstan::kernels
