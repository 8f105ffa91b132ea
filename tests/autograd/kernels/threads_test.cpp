// Kernels of f32 and bf16 on enough work for several threads (threads.h).

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "autograd/core/tensor.h"
#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/candidate_loss.h"
#include "autograd/kernels/dropout.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/image_normalization.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/kernels/indexing.h"
#include "autograd/kernels/linear_cross_entropy.h"
#include "autograd/kernels/loss.h"
#include "autograd/kernels/normalization.h"
#include "autograd/kernels/pool.h"
#include "autograd/kernels/softmax.h"
#include "tests/autograd/kernels/threads.h"

namespace capstan::kernels::testing_threads {
namespace {

template <class T>
constexpr double kTolerance = std::is_same_v<T, float> ? 2e-5 : 0.02;

template <class T>
class Threads : public ::testing::Test {};
using Types = ::testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Threads, Types);

TYPED_TEST(Threads, Softmax) {
  using T = TypeParam;
  const std::int64_t rows = 520, n = 259;
  const auto x = random_values<T>(rows * n, 1, -4, 4), dy = random_values<T>(rows * n, 2);
  auto keep = zeros<std::uint8_t>(n);
  for (std::size_t j = 0; j < keep.size(); ++j) keep[j] = j % 5 != 0;
  RowMask<T> mask;
  mask.keep = keep.data();
  mask.layout = Layout(Shape{n}).expand(Shape{rows, n});
  check("softmax", kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(rows * n), dx = y;
    softmax(x.data(), mask, y.data(), rows, n);
    softmax_backward(y.data(), dy.data(), dx.data(), rows, n);
    r.add(y), r.add(dx);
  });
  check("log_softmax", 3 * kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(rows * n), dx = y;
    log_softmax(x.data(), {}, y.data(), rows, n);
    log_softmax_backward(y.data(), dy.data(), dx.data(), rows, n);
    r.add(y), r.add(dx);
  });
}

TYPED_TEST(Threads, DropoutAndLayerNorm) {
  using T = TypeParam;
  const std::int64_t rows = 700, n = 150;
  const auto x = random_values<T>(rows * n, 1), residual = random_values<T>(rows * n, 2), dy = random_values<T>(rows * n, 3),
             gamma = random_values<T>(n, 4, 0.5, 1.5), beta = random_values<T>(n, 5), bias = random_values<T>(n, 6);
  const DropoutMask mask{.key = 7, .rate = DropoutRate(0.25), .group_size = rows * n};
  check("dropout", 0, [&](Results& r) {
    auto y = zeros<T>(rows * n);
    dropout(x.data(), mask, y.data(), rows * n);
    r.add(y);
  });
  for (const bool centered : {true, false})
    check(centered ? "layer_norm" : "rms_norm", 10 * kTolerance<T>, [&](Results& r) {
      auto sum = zeros<T>(rows * n), y = sum, dx = sum, dresidual = sum;
      auto dgamma = zeros<Compute<T>>(n), dbeta = dgamma, dbias = dgamma;
      auto mean = zeros<Compute<T>>(rows), inverse = mean;
      const RowStatistics<T> statistics{.mean = mean.data(), .inverse_deviation = inverse.data(), .centered = centered};
      layer_norm({.x = x.data(), .residual = residual.data(), .bias = bias.data(), .dropout = mask},
                 {gamma.data(), beta.data(), 1e-5, centered}, sum.data(), y.data(), statistics, rows, n);
      layer_norm_backward(
          sum.data(), gamma.data(), statistics, dy.data(), nullptr, mask,
          {.dx = dx.data(), .dresidual = dresidual.data(), .dgamma = dgamma.data(), .dbeta = dbeta.data(), .dbias = dbias.data()}, rows, n);
      r.add(y), r.add(dx), r.add(dresidual), r.add(dgamma), r.add(dbeta), r.add(dbias);
    });
}

TYPED_TEST(Threads, ImageNormalization) {
  using T = TypeParam;
  const NormalizationSets sets{.batch = 6, .channels = 8, .spatial = 1601, .groups = 8, .across_batch = true};
  const std::int64_t size = sets.planes() * sets.spatial;
  const auto x = random_values<T>(size, 1), dy = random_values<T>(size, 2), gamma = random_values<T>(8, 3), beta = random_values<T>(8, 4);
  check("normalize_sets", 10 * kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(size), dx = y;
    auto dgamma = zeros<Compute<T>>(8), dbeta = dgamma, mean = dgamma, variance = mean;
    const SetStatistics<T> statistics{.mean = mean.data(), .variance = variance.data()};
    normalize_sets(sets, x.data(), gamma.data(), beta.data(), {}, statistics, y.data());
    normalize_sets_backward(sets, x.data(), gamma.data(), {}, statistics, dy.data(), {},
                            {.dx = dx.data(), .dgamma = dgamma.data(), .dbeta = dbeta.data()});
    r.add(y), r.add(dx), r.add(dgamma), r.add(dbeta);
  });
}

TYPED_TEST(Threads, Losses) {
  using T = TypeParam;
  const std::int64_t rows = 300, classes = 500;
  const auto logits = random_values<T>(rows * classes, 1, -3, 3);
  auto targets = random_indices(rows, classes, 2);
  targets[7] = -100;
  const auto weights = random_values<float>(classes, 3, 0.5, 1.5);
  check("cross_entropy", 3 * kTolerance<T>, [&](Results& r) {
    auto losses = zeros<Compute<T>>(rows), log_sums = losses;
    auto dx = zeros<T>(rows * classes);
    const ClassTargets t{.target = targets.data(), .smoothing = 0.1, .class_weights = weights.data()};
    cross_entropy(logits.data(), t, rows, classes, losses.data(), log_sums.data());
    cross_entropy_backward(logits.data(), t, rows, classes, log_sums.data(), 2.0, dx.data());
    r.add(losses), r.add(dx);
  });
  auto soft = random_values<T>(rows * classes, 4, 0, 0.004);
  check("soft_cross_entropy", 3 * kTolerance<T>, [&](Results& r) {
    auto losses = zeros<Compute<T>>(rows), log_sums = losses;
    auto dx = zeros<T>(rows * classes), dt = dx;
    soft_cross_entropy(logits.data(), soft.data(), rows, classes, losses.data(), log_sums.data());
    soft_cross_entropy_backward(logits.data(), soft.data(), rows, classes, log_sums.data(), 2.0, dx.data(), dt.data());
    r.add(losses), r.add(dx), r.add(dt);
  });
  check("binary_cross_entropy", 3 * kTolerance<T>, [&](Results& r) {
    auto dx = zeros<T>(rows * classes), dt = dx;
    r.add(std::vector<double>{binary_cross_entropy(logits.data(), soft.data(), nullptr, rows * classes)});
    binary_cross_entropy_backward(logits.data(), soft.data(), nullptr, rows * classes, 2.0, dx.data(), dt.data());
    r.add(dx), r.add(dt);
  });
}

TYPED_TEST(Threads, GradientOfSomeClasses) {
  using T = TypeParam;
  const std::int64_t rows = 90, classes = 1000;
  const auto logits = random_values<Compute<T>>(rows * classes, 1, -3, 3);
  auto targets = random_indices(rows, classes, 2);
  targets[7] = -100, targets[8] = 300, targets[9] = 300 + 489, targets[10] = 300 + 490;
  const auto weights = random_values<float>(classes, 3, 0.5, 1.5);
  for (const bool weighted : {false, true}) {
    const ClassTargets t{.target = targets.data(), .smoothing = 0.1, .class_weights = weighted ? weights.data() : nullptr};
    auto losses = zeros<Compute<T>>(rows), log_sums = losses;
    cross_entropy(logits.data(), t, rows, classes, losses.data(), log_sums.data());
    const ClassPart part{.rows = rows, .classes = classes, .first = 300, .count = 490};
    const std::int64_t pitch = 500;
    check("cross_entropy_part_backward", 3 * kTolerance<T>, [&](Results& r) {
      auto dx = random_values<T>(rows * pitch, 4), alone = zeros<T>(rows * part.count);
      auto sums = random_values<Compute<T>>(part.count, 5);
      cross_entropy_part_backward(logits.data(), t, part, log_sums.data(), 2.0, dx.data(), pitch, sums.data());
      cross_entropy_part_backward(logits.data(), t, part, log_sums.data(), 2.0, alone.data(), part.count,
                                  static_cast<Compute<T>*>(nullptr));
      for (std::int64_t i = 0; i < rows * part.count; ++i)
        ASSERT_EQ(static_cast<double>(alone[static_cast<std::size_t>(i)]),
                  static_cast<double>(dx[static_cast<std::size_t>(i / part.count * pitch + i % part.count)]));
      r.add(dx), r.add(sums);
    });
    auto whole = logits;  // in f32, which the part may replace
    cross_entropy_backward(logits.data(), t, rows, classes, log_sums.data(), 2.0, whole.data());
    auto some = zeros<T>(rows * part.count);
    cross_entropy_part_backward(logits.data(), t, part, log_sums.data(), 2.0, some.data(), part.count, static_cast<Compute<T>*>(nullptr));
    for (std::int64_t i = 0; i < rows * part.count; ++i)
      ASSERT_NEAR(static_cast<double>(some[static_cast<std::size_t>(i)]),
                  static_cast<double>(whole[static_cast<std::size_t>(i / part.count * classes + part.first + i % part.count)]),
                  kTolerance<T>);
  }
}

struct ClassSizes {
  std::int64_t rows = 0, classes = 0, width = 0;
};
template <class T>
void check_linear_cross_entropy(const ClassSizes& n, const std::vector<std::int64_t>& targets, double smoothing, double scale) {
  const auto x = random_values<T>(n.rows * n.width, 1), weight = random_values<T>(n.classes * n.width, 2),
             bias = random_values<T>(n.classes, 3);
  check(
      "linear_cross_entropy", 5 * kTolerance<T>,
      [&](Results& r) {
        auto losses = zeros<Compute<T>>(n.rows);
        auto dx = random_values<T>(n.rows * n.width, 5);  // all of them are written
        auto dweight = random_values<Compute<T>>(n.classes * n.width, 6), dbias = random_values<Compute<T>>(n.classes, 7);
        linear_cross_entropy<T>({.x = x.data(),
                                 .weight = weight.data(),
                                 .bias = bias.data(),
                                 .target = targets.data(),
                                 .rows = n.rows,
                                 .classes = n.classes,
                                 .width = n.width,
                                 .smoothing = smoothing},
                                losses.data(), {.dx = dx.data(), .dweight = dweight.data(), .dbias = dbias.data(), .scale = scale});
        r.add(losses), r.add(dx), r.add(dweight), r.add(dbias);
      },
      Promise::same_rounding);
}

TYPED_TEST(Threads, LinearCrossEntropyOfManyClasses) {
  const std::int64_t rows = std::is_same_v<TypeParam, float> ? 270 : 390, classes = 4100;  // two blocks of rows, three parts of classes
  auto targets = random_indices(rows, classes, 4);
  targets[5] = targets[260] = -100;
  check_linear_cross_entropy<TypeParam>({.rows = rows, .classes = classes, .width = 4}, targets, 0.1, 0.5);
}

TYPED_TEST(Threads, LinearCrossEntropy) {
  check_linear_cross_entropy<TypeParam>({.rows = 400, .classes = 300, .width = 24}, random_indices(400, 300, 4), 0, 0.01);
}

TYPED_TEST(Threads, Candidates) {
  using T = TypeParam;
  const std::int64_t rows = 600, columns = 5, width = 64, items = 900;
  const auto h = random_values<T>(rows * width, 1), table = random_values<T>(items * width, 2);
  const auto item = random_indices(rows * columns, items, 3);
  const Candidates c{.item = item.data(), .rows = rows, .columns = columns, .width = width};
  const auto dscores = random_values<Compute<T>>(rows * columns, 4);
  check("candidate_scores", 5 * kTolerance<T>, [&](Results& r) {
    auto scores = zeros<Compute<T>>(rows * columns);
    auto dh = zeros<T>(rows * width);
    candidate_scores(c, h.data(), table.data(), scores.data());
    candidate_scores_backward(c, table.data(), dscores.data(), dh.data());
    r.add(scores), r.add(dh);
  });
}

TYPED_TEST(Threads, IndexedRows) {
  using T = TypeParam;
  for (const std::int64_t width : {1, 40, 700}) {
    SCOPED_TRACE(width);
    const std::int64_t table_rows = 300, count = 200'000 / width;
    const auto table = random_values<T>(table_rows * width, 1), rows = random_values<T>(count * width, 2);
    auto indices = random_indices(count, table_rows, 3);
    for (std::size_t i = 0; i < indices.size(); i += 3) indices[i] = 5;  // a row that has a third of all
    const double tolerance = std::is_same_v<T, float> ? 2e-4 : 0.02;
    check("gather_rows", 0, [&](Results& r) {
      auto y = zeros<T>(count * width);
      gather_rows(table.data(), {indices, 5}, width, 0.5, y.data());
      r.add(y);
    });
    check("sum_groups", tolerance, [&](Results& r) {
      const RowGroups groups(indices, table_rows);
      auto onto = table, dense = zeros<T>(table_rows * width), compact = zeros<T>(groups.count * width);
      sum_groups(groups, {.rows = rows.data()}, width, GroupTarget::onto_table_row, onto.data());
      sum_groups(groups, {.rows = rows.data(), .scale = 0.5}, width, GroupTarget::table_row, dense.data());
      sum_groups(groups, {.rows = rows.data()}, width, GroupTarget::group_number, compact.data());
      r.add(onto), r.add(dense), r.add(compact);
    });
  }
}

TYPED_TEST(Threads, Indexing) {
  using T = TypeParam;
  const std::int64_t outer = 400, size = 30, count = 40, inner = 9;
  const auto x = random_values<T>(outer * size * inner, 1), dy = random_values<T>(outer * count * inner, 2);
  const auto indices = random_indices(outer * count * inner, size, 3);
  check("gather", kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(outer * count * inner), dx = zeros<T>(outer * size * inner);
    using Word = std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>;
    gather(outer, size, count, inner, indices.data(), reinterpret_cast<const Word*>(x.data()), reinterpret_cast<Word*>(y.data()));
    gather_gradient(outer, size, count, inner, indices.data(), dy.data(), dx.data());
    r.add(y), r.add(dx);
  });
  check("take", 0, [&](Results& r) {
    auto y = zeros<T>(outer * count * inner);
    take(outer, size, count, inner * static_cast<std::int64_t>(sizeof(T)), indices.data(), reinterpret_cast<const std::byte*>(x.data()),
         reinterpret_cast<std::byte*>(y.data()));
    r.add(y);
  });
  for (const std::int64_t along : {std::int64_t{1}, inner})
    check("arg_extreme", 0, [&](Results& r) {
      auto index = zeros<std::int64_t>(outer * inner);
      const std::int64_t groups = along == 1 ? outer * inner : outer;
      arg_extreme(Extreme::largest, groups, size, along, x.data(), index.data());
      r.add(index);
    });
}

TYPED_TEST(Threads, Elementwise) {
  using T = TypeParam;
  const Shape shape{301, 701};
  const std::int64_t n = shape.numel();
  const auto a = random_values<T>(n, 1, 0.5, 2), b = random_values<T>(n, 2, 0.5, 2), dy = random_values<T>(n, 3);
  const Strided<const T> plain{a.data(), Layout(shape)}, turned{b.data(), Layout(Shape{701, 301}).transpose(0, 1)},
      g{dy.data(), Layout(shape)};
  auto keep = zeros<std::uint8_t>(n);
  for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 == 0;
  check("unary", kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(n), dx = y;
    Elementwise<T>::unary(functions::Gelu{}, plain, y.data());
    Elementwise<T>::unary_gradient(functions::Gelu{}, g, turned, dx.data());
    r.add(y), r.add(dx);
  });
  check("binary", kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(n), d = y, s = y;
    Elementwise<T>::binary(functions::Div{}, plain, turned, y.data());
    Elementwise<T>::binary_gradient(functions::Div{}, Operand::b, g, plain, turned, d.data());
    Elementwise<T>::select({keep.data(), Layout(shape)}, plain, turned, s.data());
    r.add(y), r.add(d), r.add(s);
  });
  check("bias_activation", 10 * kTolerance<T>, [&](Results& r) {
    auto y = zeros<T>(n), dx = y;
    auto dbias = zeros<Compute<T>>(701);
    Elementwise<T>::bias_activation(functions::Tanh{}, 301, 701, a.data(), b.data(), y.data());
    Elementwise<T>::bias_activation_gradient(functions::Gelu{}, 301, 701, dy.data(), a.data(), b.data(), dx.data(), dbias.data());
    r.add(y), r.add(dx), r.add(dbias);
  });
  check("convert_type", 0, [&](Results& r) {
    auto narrow = zeros<bfloat16>(n);
    auto wide = zeros<float>(n);
    convert_type(dtype_of<T>, b.data(), turned.layout, DType::bf16, narrow.data());
    convert_type(dtype_of<T>, b.data(), turned.layout, DType::f32, wide.data());
    r.add(narrow), r.add(wide);
  });
}

TYPED_TEST(Threads, Accumulate) {
  using T = TypeParam;
  const Tensor x(Shape{301, 701}, dtype_of<T>), y(Shape{701, 301}, dtype_of<T>);
  const auto a = random_values<T>(x.numel(), 1), b = random_values<T>(x.numel(), 2);
  std::ranges::copy(a, x.template span<T>().begin());
  const Tensor turned = y.view(y.layout().transpose(0, 1));
  check("copy, add_into, sum_to_shape", 5e-5 + kTolerance<T>, [&](Results& r) {
    std::ranges::copy(b, y.template span<T>().begin());
    const Tensor sum = x.clone(), columns(Shape{701}, dtype_of<T>), rows(Shape{301, 1}, dtype_of<T>), copied(Shape{301, 701}, dtype_of<T>);
    add_into(turned, sum);
    copy(turned, copied);
    sum_to_shape(sum, columns);
    sum_to_shape(sum, rows);
    for (const Tensor* t : {&sum, &columns, &rows, &copied}) r.add(t->to_vector());
  });
}

TYPED_TEST(Threads, Pools) {
  using T = TypeParam;
  const PoolProblem p{
      .planes = 24, .height = {.in = 61, .kernel = 3, .stride = 2, .before = 1, .after = 1}, .width = {.in = 53, .kernel = 3, .stride = 2}};
  const std::int64_t in = p.planes * p.in_size(), out = p.planes * p.out_size();
  const auto x = random_values<T>(in, 1), dy = random_values<T>(out, 2);
  check("pools", 0, [&](Results& r) {
    auto y = zeros<T>(out), mean = y, dx = zeros<T>(in), dmean = dx;
    auto places = zeros<std::int32_t>(out);
    max_pool2d(p, x.data(), y.data(), places.data());
    max_pool2d_backward(p, dy.data(), places.data(), dx.data());
    avg_pool2d(p, false, x.data(), mean.data());
    avg_pool2d_backward(p, false, dy.data(), dmean.data());
    r.add(y), r.add(places), r.add(dx), r.add(mean), r.add(dmean);
  });
}

}  // namespace
}  // namespace capstan::kernels::testing_threads
