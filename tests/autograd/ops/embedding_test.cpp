#include "autograd/ops/embedding.h"

#include <gtest/gtest.h>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/indexed_rows.h"

namespace capstan {
namespace {

Tensor i64(const std::vector<std::int64_t>& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

TEST(Embedding, PaddingReadsAsZerosWhateverTheTableHolds) {
  const Tensor table = Tensor::from<float>({9, 9, 1, 2}, {2, 2});
  EXPECT_EQ(embedding(table, i64({0, 1}), {.padding_index = 0, .scale = 3}).to_vector(), (std::vector<double>{0, 0, 3, 6}));
  EXPECT_EQ(embedding(table, i64({0, 1})).to_vector(), (std::vector<double>{9, 9, 1, 2}));
}

TEST(Embedding, SparseGradientNamesEveryOccurrenceButPadding) {
  const Tensor table = make_leaf(Tensor::full({4, 2}, 1));
  Tape tape;
  const Tensor y = embedding(table, i64({2, 0, 3, 2}), {.padding_index = 0, .scale = 10, .sparse = true});
  const Tensor dy = Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2});
  const Gradient g = tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(table);
  ASSERT_TRUE(g.is_sparse());
  EXPECT_EQ(g.shape(), (Shape{4, 2}));
  EXPECT_EQ(g.indices().to_vector(), (std::vector<double>{2, 3, 2}));
  EXPECT_EQ(g.row_values().to_vector(), (std::vector<double>{10, 20, 50, 60, 70, 80}));
}

TEST(Embedding, SparseGradientWithoutPaddingIsThatOfTheOutput) {  // no copy
  const Tensor table = make_leaf(Tensor::full({4, 2}, 1));
  Tape tape;
  const Tensor y = embedding(table, i64({2, 2}), {.sparse = true}), dy = Tensor::full({2, 2}, 1);
  EXPECT_TRUE(tape.backward(std::span(&y, 1), std::span(&dy, 1)).of(table).row_values().storage().same_as(dy.storage()));
}

TEST(RowGroups, KeepOrderOfOccurrence) {
  const std::vector<std::int64_t> indices{5, -1, 2, 5, 7, 2, 5};
  const kernels::RowGroups g(indices, 8);
  ASSERT_EQ(g.count, 3);
  const auto list = [](const auto& s, std::int64_t n) { return std::vector<std::int64_t>(s.data(), s.data() + n); };
  EXPECT_EQ(list(g.row, 3), (std::vector<std::int64_t>{5, 2, 7}));
  EXPECT_EQ(list(g.start, 4), (std::vector<std::int64_t>{0, 3, 5, 6}));
  EXPECT_EQ(list(g.order, 6), (std::vector<std::int64_t>{0, 3, 6, 2, 5, 4}));
}

TEST(RowGroups, FastSumsAreTheReferenceSums) {  // enough work for several threads; one row takes most of it
  constexpr std::int64_t n = 6000, width = 50, rows = 300;
  Rng rng(1);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < n; ++i) indices.push_back(rng.below(2) == 0 ? 7 : static_cast<std::int64_t>(rng.below(rows)));
  Tensor terms({n, width});
  for (float& v : terms.span<float>()) v = static_cast<float>(rng.below(17)) - 8;  // small integers: sums are exact
  const kernels::RowGroups groups(indices, rows);
  const auto sums = [&] {
    const Tensor out = Tensor::full({rows, width}, -1);
    kernels::sum_groups(groups, {.rows = terms.data<const float>()}, width, kernels::GroupTarget::table_row, out.data<float>());
    return out.to_vector();
  };
  const std::vector<double> fast = sums();
  const kernels::ScopedBackend reference(kernels::Backend::reference);
  EXPECT_EQ(fast, sums());
}

}  // namespace
}  // namespace capstan
