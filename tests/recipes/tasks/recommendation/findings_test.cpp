// What an evaluation of recommendations shows, on three lists of twenty items that are checked by hand.

#include "recipes/tasks/recommendation/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace capstan::recommendation {
namespace {

using ::testing::ElementsAre;

const engine::FindingTable& table(const engine::Finding& finding) { return std::get<engine::FindingTable>(finding.shown); }

/// Item 19 is the most popular, item 0 the least; two items are a tenth.
ShownSource source() {
  ShownSource from{.who = "user", .among = "all items", .popularity = {}, .name = {}, .lists = {}};
  for (std::int64_t i = 0; i < 20; ++i) from.popularity.push_back(i);
  from.name = [](std::int64_t item) { return "item" + std::to_string(item); };
  from.lists = [] {
    const std::vector<std::int64_t> popular{19, 18, 17, 16, 15, 14, 13, 12, 11, 10};
    std::vector<ShownList> lists;
    lists.push_back({.who = "anna", .history = {1, 2, 3, 4, 5, 6}, .next = 18, .rank = 2, .items = popular});
    lists.push_back({.who = "bert", .history = {7}, .next = 0, .rank = 12, .items = popular});
    lists.push_back({.who = "cleo", .history = {}, .next = 9, .rank = 1, .items = {9, 18, 17, 16, 15, 14, 13, 12, 11, 10}});
    return lists;
  };
  return from;
}

TEST(RecommendationFindings, AreWhatTheListsSay) {
  ShownRecommendations shown(source());
  shown.add(18, 6, 2);
  shown.add(0, 1, 12);
  shown.add(9, 5, 10);
  const std::vector<engine::Finding> all = shown.findings();
  ASSERT_EQ(all.size(), 5U);

  EXPECT_THAT(table(all[0]).rows[0], ElementsAre("anna", "... item2, item3, item4, item5, item6", "item18", "2",
                                                 "item19, *item18*, item17, item16, item15, item14, item13, item12, item11, item10"));
  EXPECT_THAT(table(all[0]).rows[1][1], "item7");
  EXPECT_THAT(table(all[0]).rows[2][1], "");

  // Recommended: item 19 twice, 18 to 10 three times, 9 once: 11 of 20 items. Places by popularity, from 1: twice the mean of 1 .. 10,
  // and once that of 2 .. 11; what came next has the places 2, 20 and 11.
  const auto& variety = table(all[1]).rows;
  EXPECT_THAT(variety[0], ElementsAre("lists", "3"));
  EXPECT_THAT(variety[1], ElementsAre("items among the first 10 of any list, of 20", "11"));
  EXPECT_THAT(variety[2][1], "55.0%");
  EXPECT_THAT(variety[3], ElementsAre("Gini index", "0.497"));  // (-1 * 1 + 1 * 2 + 3 * (3 + 5 + ... + 19)) / (20 * 30)
  EXPECT_THAT(variety[4][1], "5.8");
  EXPECT_THAT(variety[5][1], "11.0");

  const auto& curves = std::get<engine::FindingCurves>(all[2].shown).curves;
  EXPECT_NEAR(curves[0].points[0].second, 1. / 3, 1e-12) << "item 18 came next";
  EXPECT_NEAR(curves[1].points[0].second, 5. / 30, 1e-12) << "items 19 and 18 are recommended five times of thirty";
  EXPECT_NEAR(curves[1].points[5].second, 1. / 30, 1e-12) << "item 9";
  EXPECT_THAT(table(all[3]).rows[0], ElementsAre("1", "1", "33.3%", "16.7%", "100.0%"));
  EXPECT_THAT(table(all[3]).rows[9], ElementsAre("10", "1", "33.3%", "0.0%", "0.0%"));
  EXPECT_THAT(table(all[4]).rows, ElementsAre(ElementsAre("1", "1", "0.0%"), ElementsAre("5 to 8", "2", "100.0%")));
}

TEST(RecommendationFindings, LongNamesHaveALineEach) {
  ShownSource from = source();
  from.line_each = true;
  from.name = [](std::int64_t item) { return "An item, the " + std::to_string(item) + ".\n[" + std::to_string(item) + "]"; };
  ShownRecommendations shown(from);
  shown.add(18, 6, 2);
  const std::vector<engine::Finding> all = shown.findings();
  const std::string lists = table(all[0]).rows[0][4];
  EXPECT_TRUE(lists.starts_with("An item, the 19. [19]\n*An item, the 18. [18]*\nAn item, the 17. [17]\n")) << lists;
  EXPECT_TRUE(table(all[0]).rows[0][1].starts_with("... An item, the 2. [2]\nAn item, the 3. [3]\n")) << table(all[0]).rows[0][1];
}

TEST(RecommendationFindings, SayNothingOfAPopularityThatIsNotKnown) {
  ShownSource from = source();
  from.popularity.assign(20, 0);
  ShownRecommendations shown(from);
  EXPECT_TRUE(shown.findings().empty()) << "no case was added";
  shown.add(3, 2, 1);
  const std::vector<engine::Finding> all = shown.findings();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(table(all[1]).rows.size(), 4U);
}

TEST(RecommendationFindings, TakeCataloguesThatAreSmallerThanAList) {
  ShownSource from = source();
  from.popularity = {5, 1};
  from.lists = [] {
    std::vector<ShownList> lists;
    lists.push_back({.who = "anna", .history = {0}, .next = 1, .rank = 1, .items = {1}});
    return lists;
  };
  ShownRecommendations shown(from);
  shown.add(1, 1, 1);
  const std::vector<engine::Finding> all = shown.findings();
  ASSERT_EQ(all.size(), 5U);
  EXPECT_THAT(table(all[1]).rows[1], ElementsAre("items among the first 1 of any list, of 2", "1"));
}

}  // namespace
}  // namespace capstan::recommendation
