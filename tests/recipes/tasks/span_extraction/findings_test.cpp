// Answers that are shown: some at equal distances and the worst, of which a questionable one is the surest.

#include "recipes/tasks/span_extraction/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipes/tasks/text/readable.h"
#include "tests/recipes/tasks/span_extraction/fixtures.h"

namespace capstan::span_extraction {
namespace {

const engine::FindingTable& table(const engine::Finding& finding) { return std::get<engine::FindingTable>(finding.shown); }

TEST(SpanFindings, AreTheSurestMistakes) {
  const Questions questions(golden_squad(), golden_tokenizer(), {}, Questions::Use::evaluation, true);
  ASSERT_GE(questions.questions(), 5);
  ShownAnswers shown(questions, golden_vocabulary());
  shown.add(0, {.text = "right", .probability = .9, .begin = 3, .end = 8}, 1);
  shown.add(1, {.text = "wrong", .probability = .5, .begin = 3, .end = 8}, 0);
  shown.add(2, {.text = "", .probability = .8}, .5);
  shown.add(3, {.text = "half", .probability = .9, .begin = 3, .end = 7}, .5);
  shown.add(4, {.text = std::string(kNothing), .probability = 1}, 0);
  const std::vector<engine::Finding> all = shown.findings();
  ASSERT_EQ(all.size(), 2U);
  const auto& worst = table(all[1]).rows;
  ASSERT_EQ(worst.size(), 4U) << "the right one is no mistake";
  EXPECT_EQ(worst[0][2], "wrong");  // .5 * 1
  EXPECT_EQ(worst[1][2], "half");   // .9 * .5
  EXPECT_EQ(worst[2][2], "(no answer)");
  EXPECT_EQ(worst[3][2], "(no answer)") << "nobody is sure of having found nothing";
  EXPECT_EQ(worst[3][4], "0.000");
  EXPECT_EQ(worst[0][0], text::readable(questions.question(1).ids, golden_vocabulary()));
  EXPECT_EQ(worst[0][3], "0.00");
  EXPECT_EQ(worst[0][4], "0.500");
}

TEST(Readable, JoinsPieces) {
  const data::Vocabulary v({"[PAD]", "[CLS]", "[SEP]", "walk", "##ing", "home", "##"});
  const auto text = [&](std::vector<std::int32_t> ids) { return text::readable(ids, v); };
  EXPECT_EQ(text({1, 3, 4, 5, 2, 0, 0}), "walking home");
  EXPECT_EQ(text({1, 3, 2, 5, 4, 2}), "walk ||| homeing");
  EXPECT_EQ(text({4, 3}), "##ing walk");
  EXPECT_EQ(text({}), "");
}

}  // namespace
}  // namespace capstan::span_extraction
