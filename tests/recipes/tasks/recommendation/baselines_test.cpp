#include "recipes/tasks/recommendation/baselines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace capstan::recommendation {
namespace {

/// The items listed beside an item of one sequence 0, 1, ..., length - 1: all scores are equal, so they stand in their order.
std::vector<std::int32_t> beside(std::int32_t item, std::int32_t length) {
  std::vector<std::int32_t> sequence(static_cast<std::size_t>(length));
  std::iota(sequence.begin(), sequence.end(), 0);
  const ScoreTable table =
      neighbours({.count = 1, .items = length, .get = [&](std::int64_t) { return std::span(std::as_const(sequence)); }});
  std::vector<std::int32_t> out;
  for (const auto& entry : table.row(item)) out.push_back(entry.item);
  return out;
}

TEST(ItemKnn, PairsAllItemsOfAUsualSequence) {
  const auto near = beside(2000, 2500);
  ASSERT_EQ(near.size(), 100u);
  EXPECT_EQ(near.front(), 0);
}

TEST(ItemKnn, PairsItemsOfALongSequenceWithThoseBesideThem) {
  const auto near = beside(2000, 2501);
  ASSERT_EQ(near.size(), 100u);
  EXPECT_EQ(near.front(), 1750);
  EXPECT_EQ(beside(0, 2501).front(), 1);
  EXPECT_EQ(beside(2500, 2501).front(), 2250);
  // As many pairs as items times a constant, however long the sequence is: this one has 1.25e9 pairs.
  EXPECT_EQ(beside(40000, 50000).front(), 39750);
}

}  // namespace
}  // namespace capstan::recommendation
