// Translations beside their references: which are shown, in which order, and what a translation of few words scores.

#include "recipes/tasks/translation/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace capstan::translation {
namespace {

using ::testing::ElementsAre;

const engine::FindingTable& table(const engine::Finding& finding) { return std::get<engine::FindingTable>(finding.shown); }

TEST(TranslationFindings, ShowSomeAndTheExtremes) {
  Dataset::Part part;
  std::map<std::int64_t, std::string> translated;
  const std::vector<std::string> words{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    part.texts.source.push_back("source " + words[i]);
    part.texts.target.push_back("the number is " + words[i]);
    part.pairs.emplace_back();
    translated.emplace(static_cast<std::int64_t>(i), part.texts.target.back());
  }
  translated[5] = "qq";                 // nothing in common
  translated[8] = "the number is nin";  // nearly
  const std::vector<engine::Finding> all = findings_of(part, translated, {});
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(table(all[0]).rows.size(), 10U);
  EXPECT_THAT(table(all[0]).rows[0], ElementsAre("source one", "the number is one", "the number is one", "100.0", "100.0"));
  ASSERT_EQ(table(all[1]).rows.size(), 8U);
  EXPECT_THAT(table(all[1]).rows[0], ElementsAre("source six", "the number is six", "qq", "-", "0.0"));
  EXPECT_EQ(table(all[1]).rows[1][0], "source nine");
  EXPECT_EQ(table(all[1]).rows[2][0], "source one") << "equal ones by their place";
  EXPECT_EQ(table(all[2]).rows[0][0], "source one");
}

TEST(TranslationFindings, OfExamplesAloneHaveNoExtremesButAttention) {
  Dataset::Part part;
  part.texts.source = {"a", "b"};
  part.texts.target = {"A", "B"};
  part.pairs.resize(2);
  const auto attention = [](std::int64_t number) {
    return engine::FindingMatrix{
        .row_title = "translation", .column_title = "source", .rows = {"B"}, .columns = {"b"}, .counts = {static_cast<double>(number)}};
  };
  const std::vector<engine::Finding> all = findings_of(part, {{1, "B"}}, attention);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].title, "Attention, text 2");
  EXPECT_THAT(std::get<engine::FindingMatrix>(all[1].shown).counts, ElementsAre(1));
  EXPECT_TRUE(findings_of(part, {}, attention).empty());
}

}  // namespace
}  // namespace capstan::translation
