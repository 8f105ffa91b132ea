// What comparisons find and let pass.
#include "tests/close.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace capstan {
namespace {

// The comparison with goldens is by the magnitude of each gradient: one of 1e-9 that is missing is found.
TEST(ExpectClose, IsRelativeToWhatIsExpected) {
  const std::vector<double> small{1e-9, -2e-9, 3e-9}, missing{0, 0, 0}, near{1e-9, -2e-9 + 1e-21, 3e-9};
  const auto fails = [](const std::vector<double>& actual, const std::vector<double>& expected, double absolute) {
    ::testing::TestPartResultArray results;
    {
      const ::testing::ScopedFakeTestPartResultReporter reporter(::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
                                                                 &results);
      expect_close(actual, expected, 1e-5, "small", absolute);
    }
    return results.size() > 0;
  };
  EXPECT_TRUE(fails(missing, small, 0));
  EXPECT_FALSE(fails(near, small, 0));
  EXPECT_FALSE(fails(small, small, 0));
  EXPECT_FALSE(fails({1e-17, 0, 0}, {0, 2e-17, 0}, 1e-16)) << "what remains where larger numbers cancelled";
  EXPECT_TRUE(fails({std::nan(""), 0, 0}, missing, 1));
}

}  // namespace
}  // namespace capstan
