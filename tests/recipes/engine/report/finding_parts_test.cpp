// What findings of all tasks are made of, on numbers small enough to check by hand.

#include "recipes/engine/report/finding_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "recipes/engine/report/classification_findings.h"
#include "recipes/engine/report/kept_cases.h"

namespace capstan::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const FindingTable& table(const Finding& finding) { return std::get<FindingTable>(finding.shown); }

std::vector<std::int64_t> indices(const KeptCases& kept) {
  std::vector<std::int64_t> out;
  for (const KeptCase& c : kept.in_order()) out.push_back(c.index);
  return out;
}

TEST(KeptCases, KeepTheHighestScoresInAnyOrderAndInAnyParts) {
  const std::vector<KeptCase> cases{{.score = .5, .index = 4}, {.score = .9, .index = 7}, {.score = .5, .index = 2},
                                    {.score = .1, .index = 0}, {.score = .9, .index = 6}, {.score = .5, .index = 9}};
  KeptCases kept(4), backwards(4), first(4), second(4);
  for (const KeptCase& c : cases) kept.add(c);
  for (auto c = cases.rbegin(); c != cases.rend(); ++c) backwards.add(*c);
  EXPECT_THAT(indices(kept), ElementsAre(6, 7, 2, 4));
  EXPECT_EQ(kept.in_order(), backwards.in_order());
  EXPECT_TRUE(kept.wants(.5, 3));
  EXPECT_FALSE(kept.wants(.5, 5)) << "of equal scores the lower index stays";

  for (std::size_t i = 0; i < cases.size(); ++i) (i < 3 ? first : second).add(cases[i]);
  data::Packer packed;
  second.pack(packed);
  const std::vector<std::byte> bytes = std::move(packed).bytes();
  data::Unpacker in(bytes);
  first.add_packed(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(first.in_order(), kept.in_order());
}

TEST(KeptCases, CountScoresToFiveDigits) {
  KeptCases kept(1);
  kept.add({.score = .1234561, .index = 3});
  kept.add({.score = .1234564, .index = 5});
  EXPECT_THAT(indices(kept), ElementsAre(3));
  kept.add({.score = std::numeric_limits<double>::quiet_NaN(), .index = 0});
  kept.add({.score = std::numeric_limits<double>::infinity(), .index = 1});
  EXPECT_THAT(indices(kept), ElementsAre(3));
  KeptCases nothing(0);
  EXPECT_FALSE(nothing.wants(1, 1));
}

TEST(KeptCases, CarryWhatIsShown) {
  KeptCases kept(2), other(2);
  kept.add({.score = 2, .index = 1, .numbers = {3, .5}, .text = "said"});
  kept.add({.score = 2, .index = 1});
  EXPECT_EQ(kept.in_order().size(), 1U) << "a case counts once";
  data::Packer packed;
  kept.pack(packed);
  const std::vector<std::byte> bytes = std::move(packed).bytes();
  data::Unpacker in(bytes);
  other.add_packed(in);
  EXPECT_EQ(other.in_order(), kept.in_order());
}

TEST(FindingParts, GroupsDouble) {
  const DoublingGroups groups{.count = 5};
  std::vector<std::int64_t> of;
  for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 1000}) of.push_back(groups.of(n));
  EXPECT_THAT(of, ElementsAre(0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4));
  std::vector<std::string> names;
  for (std::int64_t g = 0; g < groups.count; ++g) names.push_back(groups.name(g));
  EXPECT_THAT(names, ElementsAre("1", "2", "3 to 4", "5 to 8", "9 and more"));
}

TEST(FindingParts, SumsOfGroupsMergeAndReportNothing) {
  GroupSums a(2, 2), b(2, 2);
  a.add(1, 0), a.add(1, 1, 3), b.add(1, 0);
  a.merge(b);
  EXPECT_EQ(a.mean(1, 1), 1.5);
  EXPECT_EQ(a.mean(0, 1), 0) << "without cases";
  EXPECT_EQ(a.total(0), 2);
  EXPECT_TRUE(a.metrics().empty() && a.values().empty());
}

TEST(FindingParts, PlacesAreSpread) {
  EXPECT_THAT(spread_places(10, 2), ElementsAre(2, 7));
  EXPECT_THAT(spread_places(3, 8), ElementsAre(0, 1, 2));
  EXPECT_THAT(spread_places(0, 8), ElementsAre());
}

TEST(FindingParts, CellsAreShort) {
  EXPECT_EQ(decimals(.12345, 3), "0.123");
  EXPECT_EQ(decimals(-2, 0), "-2");
  EXPECT_EQ(decimals(std::numeric_limits<double>::quiet_NaN(), 3), "-");
  EXPECT_EQ(percent(.1234), "12.3%");
  EXPECT_EQ(counted(1, "image"), "1 image");
  EXPECT_EQ(counted(2000, "image"), "2,000 images");
  EXPECT_EQ(cell("a\nb\tc"), "a b c");
  EXPECT_EQ(cell(std::string(400, 'x')).size(), 300U);
  EXPECT_EQ(cell("a longer text than this", 12), "a longer ...");
}

TEST(FindingParts, PicturesFitAPage) {
  data::Image tiny(2, 4, 1);
  tiny.at(1, 2, 0) = 200;
  const data::Image large = page_picture(tiny, 112, 320);
  EXPECT_EQ(large.height, 56);
  EXPECT_EQ(large.width, 112);
  EXPECT_EQ(large.at(28, 56, 0), 200) << "pixel by pixel";
  EXPECT_EQ(large.at(27, 56, 0), 0);
  const data::Image small = page_picture(data::Image(640, 320, 3), 112, 320);
  EXPECT_EQ(small.height, 320);
  EXPECT_EQ(small.width, 160);
  const data::Image as_is(200, 120, 3);
  EXPECT_EQ(page_picture(as_is), as_is);
}

TEST(ClassificationFindings, CountClasses) {
  ConfusionMatrix m({"cat", "dog"});
  m.add(0, 0, 3), m.add(0, 1, 1), m.add(1, 1, 4);
  const std::vector<Finding> all = confusion_findings(m, "image");
  ASSERT_EQ(all.size(), 2U) << "few classes need no list of pairs";
  const auto& matrix = std::get<FindingMatrix>(all[0].shown);
  EXPECT_THAT(matrix.rows, ElementsAre("cat", "dog"));
  EXPECT_THAT(matrix.counts, ElementsAre(3, 1, 0, 4));
  EXPECT_THAT(table(all[1]).rows,
              ElementsAre(ElementsAre("cat", "4", "0.750", "1.000", "0.857"), ElementsAre("dog", "4", "1.000", "0.800", "0.889")));
  EXPECT_TRUE(confusion_findings(ConfusionMatrix({"cat", "dog"}), "image").empty()) << "without a case";
}

TEST(ClassificationFindings, ShowTheWorstOfManyClasses) {
  std::vector<std::string> names;
  for (int c = 0; c < 30; ++c) names.push_back("class " + std::to_string(c));
  ConfusionMatrix m(names);
  for (std::int64_t c = 0; c < 30; ++c) m.add(c, c, 10);
  m.add(29, 4, 5), m.add(4, 28, 2);
  const std::vector<Finding> all = confusion_findings(m, "text");
  ASSERT_EQ(all.size(), 3U);
  const auto& matrix = std::get<FindingMatrix>(all[0].shown);
  ASSERT_EQ(matrix.rows.size(), 20U);
  EXPECT_EQ(matrix.rows[17], "class 17") << "of equally good ones the first, in the order of the classes";
  EXPECT_EQ(matrix.rows[18], "class 28");
  EXPECT_EQ(matrix.rows[19], "class 29");
  EXPECT_EQ(matrix.counts[19 * 20 + 4], 5);
  EXPECT_THAT(all[0].text, HasSubstr("Of 30 classes the 20 that are in the most mistakes"));
  EXPECT_THAT(table(all[1]).rows,
              ElementsAre(ElementsAre("class 29", "class 4", "5", "33.3%"), ElementsAre("class 4", "class 28", "2", "16.7%")));
}

TEST(ClassificationFindings, SayWhetherItIsRightWhenItIsSure) {
  Reliability r;
  r.add(.95, true), r.add(.85, false), r.add(.85, true), r.add(1, true);
  // Steps .8 - .9: 2 cases, mean .85, half right; .9 - 1: 2 cases, mean .975, all right. (2 * .35 + 2 * .025) / 4
  EXPECT_NEAR(r.expected_error(), .1875, 1e-12);
  const std::vector<Finding> all = r.findings("image");
  ASSERT_EQ(all.size(), 1U);
  const auto& points = std::get<FindingCurves>(all[0].shown).curves.at(1).points;
  ASSERT_EQ(points.size(), 2U);
  EXPECT_NEAR(points[0].first, .85, 1e-12);
  EXPECT_EQ(points[0].second, .5);
  EXPECT_TRUE(Reliability().findings("image").empty());

  const std::vector<float> logits{1, 3, 3};
  EXPECT_EQ(said_class(logits).number, 1);
  EXPECT_NEAR(said_class(logits).probability, 1 / (2 + std::exp(-2)), 1e-7);
}

}  // namespace
}  // namespace capstan::engine
