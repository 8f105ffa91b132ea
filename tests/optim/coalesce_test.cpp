// Row-sparse gradients with every row named once.
#include <gtest/gtest.h>

#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/indexed_rows.h"
#include "optim/coalesce.h"

namespace capstan::kernels {
namespace {

// Clipping and the update both ask for it: the second time costs nothing.
TEST(Rows, AreCoalescedOnce) {
  const Gradient g =
      Gradient::rows(Tensor::from<std::int64_t>({3, 1, 3}, Shape{3}), Tensor::from<float>({1, 2, 4}, Shape{3, 1}), Shape{5, 1});
  EXPECT_FALSE(g.has_unique_rows());
  const Gradient once = optim::coalesced(g), twice = optim::coalesced(once);
  EXPECT_TRUE(once.has_unique_rows());
  EXPECT_EQ(once.indices().to_vector(), (std::vector<double>{3, 1}));
  EXPECT_EQ(once.row_values().to_vector(), (std::vector<double>{5, 2}));
  EXPECT_EQ(twice.row_values().data<const float>(), once.row_values().data<const float>());
  EXPECT_EQ(twice.indices().data<const std::int64_t>(), once.indices().data<const std::int64_t>());
}

// The update reads rows one after another, however the op that made them left them.
TEST(Rows, AreContiguousOnceCoalesced) {
  const Tensor rows = Tensor::from<float>({1, 2, 3, 4}, Shape{2, 2});
  const Gradient once = optim::coalesced(
      Gradient::rows(Tensor::from<std::int64_t>({2, 0}, Shape{2}), rows.view(rows.layout().transpose(0, 1)), {3, 2}, true));
  ASSERT_TRUE(once.row_values().is_contiguous());
  EXPECT_EQ(once.row_values().to_vector(), (std::vector<double>{1, 3, 2, 4}));
}

TEST(Rows, CoalesceInTheOrderOfFirstOccurrence) {
  const std::vector<std::int64_t> indices{4, 1, 4, 0, 1, 4};
  std::vector<std::int64_t> unique(6), position(6);
  for (int repeat = 0; repeat < 2; ++repeat) {  // the scratch memory is clean again
    ASSERT_EQ(coalesce(indices, 5, unique, position), 3);
    EXPECT_EQ(std::vector<std::int64_t>(unique.begin(), unique.begin() + 3), (std::vector<std::int64_t>{4, 1, 0}));
    EXPECT_EQ(position, (std::vector<std::int64_t>{0, 1, 0, 2, 1, 0}));
    EXPECT_THROW(coalesce(indices, 4, unique, position), ShapeError);
  }
  const std::vector<std::int64_t> negative{0, -1};
  EXPECT_THROW(coalesce(negative, 4, unique, position), ShapeError);
  EXPECT_EQ(coalesce({}, 4, unique, position), 0);
}

TEST(Rows, SumAgreesWithTheReferenceAboveTheThreadThreshold) {
  constexpr std::int64_t n = 3000, width = 37;
  std::vector<std::int64_t> indices, unique(n), position(n);
  Rng rng(1);
  for (std::int64_t i = 0; i < n; ++i) indices.push_back(static_cast<std::int64_t>(rng.below(500)));
  const std::int64_t count = coalesce(indices, 500, unique, position);
  std::vector<float> rows(n * width);
  for (float& x : rows) x = static_cast<float>(rng.uniform(-1, 1));
  std::vector<float> fast(static_cast<std::size_t>(count * width)), slow(fast);
  sum_rows(rows.data(), position, count, width, fast.data());
  const ScopedBackend reference(Backend::reference);
  sum_rows(rows.data(), position, count, width, slow.data());
  EXPECT_EQ(fast, slow);  // both add in the order of occurrence
}

}  // namespace
}  // namespace capstan::kernels
