#include "data/text/python_random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace capstan::data {
namespace {

using testing::ElementsAre;

TEST(PythonRandom, GivesTheNumbersOfPython) {
  PythonRandom r(12345);
  EXPECT_EQ(r.uniform(), 0.41661987254534116);
  EXPECT_EQ(r.uniform(), 0.010169169457068361);
  EXPECT_EQ(r.uniform(), 0.8252065092537432);

  PythonRandom zero(0);
  EXPECT_EQ(zero.uniform(), 0.8444218515250481);
  EXPECT_EQ(zero.next32(), 3255389356u);
}

TEST(PythonRandom, DrawsIntegersByRejection) {
  PythonRandom r(12345);
  std::vector<std::int64_t> drawn;
  for (int i = 0; i < 8; ++i) drawn.push_back(r.randint(0, 9));
  EXPECT_THAT(drawn, ElementsAre(6, 0, 4, 5, 3, 4, 9, 6));
}

TEST(PythonRandom, Shuffles) {
  PythonRandom r(12345);
  std::vector<int> values(8);
  std::iota(values.begin(), values.end(), 0);
  r.shuffle(std::span(values));
  EXPECT_THAT(values, ElementsAre(3, 1, 7, 4, 2, 0, 5, 6));
}

// Computed with Python 3.11: seeds of two words, and bounds that need two words.
TEST(PythonRandom, TakesWideSeedsAndBounds) {
  PythonRandom r((std::uint64_t{1} << 40) + 7);
  EXPECT_EQ(r.uniform(), 0.6137037779936511);
  EXPECT_EQ(r.below(std::uint64_t{1} << 45), 17650064697706u);
  EXPECT_EQ(r.below((std::uint64_t{1} << 32) + 5), 3091373771u);
  EXPECT_EQ(r.below(std::uint64_t{1} << 32), 1688693473u);
  EXPECT_EQ(r.randint(-5, 5), 2);
}

}  // namespace
}  // namespace capstan::data
