#include "autograd/kernels/dropout_mask.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace capstan::kernels {
namespace {

TEST(DropoutMask, RowsEqualTheSingleDecisionsInWhateverRange) {
  const DropoutRate rate(0.3);
  for (const std::int64_t first : {std::int64_t{0}, std::int64_t{5}, std::int64_t{64}, std::int64_t{127}, (std::int64_t{1} << 40) + 3}) {
    for (const std::int64_t n : {0, 1, 59, 64, 65, 128, 190, 300}) {
      std::vector<std::uint8_t> keep(static_cast<std::size_t>(n) + 1, 9);
      keep_mask_row(0x123456789abcdefu, 0xfedcba9876543210u, first, n, rate, keep.data());
      for (std::int64_t j = 0; j < n; ++j)
        ASSERT_EQ(keep[static_cast<std::size_t>(j)] != 0, keep_mask_at(0x123456789abcdefu, 0xfedcba9876543210u, first + j, rate))
            << first << " + " << j;
      ASSERT_EQ(keep.back(), 9) << "wrote beyond " << n;
    }
  }
}

TEST(DropoutMask, RateAndScaleAreQuantisedAlike) {
  EXPECT_EQ(DropoutRate(0.5).threshold, 32768u);
  EXPECT_EQ(DropoutRate(0.5).scale, 2.0);
  EXPECT_EQ(DropoutRate(0.1).scale, 65536.0 / (65536.0 - 6554.0));
  EXPECT_EQ(DropoutRate(1.0).scale, 0.0);
  EXPECT_EQ(DropoutRate(0.0).scale, 1.0);
}

TEST(DropoutMask, KeepsItsShareIndependentlyOfNeighbours) {
  const std::int64_t rows = 2000, n = 640;
  std::vector<std::uint8_t> row(static_cast<std::size_t>(n)), before(row.size());
  double kept = 0, both_columns = 0, both_rows = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    keep_mask_row(11, static_cast<std::uint64_t>(r), 0, n, DropoutRate(0.2), row.data());
    for (std::size_t j = 0; j < row.size(); ++j) {
      kept += row[j];
      if (j > 0) both_columns += row[j] & row[j - 1];
      if (r > 0) both_rows += row[j] & before[j];
    }
    before = row;
  }
  const double count = static_cast<double>(rows * n), sigma = 1 / std::sqrt(count);
  EXPECT_NEAR(kept / count, 0.8, 5 * 0.4 * sigma);
  EXPECT_NEAR(both_columns / static_cast<double>(rows * (n - 1)), 0.64, 5 * 0.7 * sigma);
  EXPECT_NEAR(both_rows / static_cast<double>((rows - 1) * n), 0.64, 5 * 0.7 * sigma);
}

TEST(DropoutMask, ExtremeRates) {
  std::vector<std::uint8_t> keep(100);
  keep_mask_row(1, 2, 3, 100, DropoutRate(0.0), keep.data());
  for (const auto k : keep) EXPECT_EQ(k, 1);
  keep_mask_row(1, 2, 3, 100, DropoutRate(1.0), keep.data());
  for (const auto k : keep) EXPECT_EQ(k, 0);
}

}  // namespace
}  // namespace capstan::kernels
