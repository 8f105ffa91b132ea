#pragma once
// Comparing lists of numbers in tests. Tolerances are relative to the numbers expected: with an absolute one, a small gradient passes that
// is not there at all.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace capstan {

/// The mean magnitude.
inline double magnitude(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += std::abs(v);
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// |actual - expected| <= relative * max(|expected|, mean |expected| of all) + absolute, for every element. `absolute` is for what remains
/// of larger numbers that cancelled; it belongs to their magnitude.
inline void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double relative, const std::string& what,
                         double absolute = 0) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  const double mean = magnitude(expected);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double bound = relative * std::max(std::abs(expected[i]), mean) + absolute;
    ASSERT_TRUE(std::abs(actual[i] - expected[i]) <= bound || actual[i] == expected[i])  // infinities are equal; NaN is not
        << what << ": element " << i << " of " << actual.size() << ": got " << actual[i] << ", expected " << expected[i] << " within "
        << bound;
  }
}

/// For expected numbers that stand in a text with so many decimals: at most one unit of the last apart.
inline void expect_rounded(const std::vector<double>& actual, const std::vector<double>& expected, int decimals, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], std::pow(10., -decimals)) << what << ", element " << i << " of " << actual.size();
}

}  // namespace capstan
