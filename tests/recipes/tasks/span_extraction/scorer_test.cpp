// The official scorer of SQuAD: hand-checked answers, and what evaluate-v2.0.py prints for made-up predictions.
#include "recipes/tasks/span_extraction/scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/recipes/tasks/span_extraction/fixtures.h"

namespace capstan::span_extraction {
namespace {

TEST(SquadScorer, ScoresOneAnswerAgainstOne) {
  struct Case {
    const char *given, *predicted, *given_normal, *predicted_normal;
    double exact, f1;
  };
  for (const Case& c : {Case{"the Eiffel Tower", "Eiffel tower!", "eiffel tower", "eiffel tower", 1, 1},
                        {"1,000 miles", "1000 miles", "1000 miles", "1000 miles", 1, 1},
                        {"a cat", "an cat the", "cat", "cat", 1, 1},
                        {"U.S.", "us", "us", "us", 1, 1},
                        {"state-of-the-art", "state of the art", "stateoftheart", "state of art", 0, 0},
                        {"New York City", "New York", "new york city", "new york", 0, 0.8},
                        {"cat cat dog", "cat dog dog", "cat cat dog", "cat dog dog", 0, 2. / 3},
                        {"", "", "", "", 1, 1},
                        {"the", "a", "", "", 1, 1},
                        {"", "x", "", "x", 0, 0},
                        {"anthem", "them", "anthem", "them", 0, 0},
                        {"Café", "cafe", "café", "cafe", 0, 0},
                        {"«quoted»", "quoted", "«quoted»", "quoted", 0, 0}}) {
    EXPECT_EQ(normalized(c.given), c.given_normal);
    EXPECT_EQ(normalized(c.predicted), c.predicted_normal);
    const AnswerScore s = score(c.given, c.predicted);
    EXPECT_EQ(s.exact, c.exact) << c.given << " / " << c.predicted;
    EXPECT_NEAR(s.f1, c.f1, 1e-12) << c.given << " / " << c.predicted;
  }
}

TEST(SquadScorer, ArticlesAreWholeWordsOfAnyScript) { EXPECT_EQ(normalized("éa a\u0301 €a thé 北a _the"), "éa \u0301 € thé 北a"); }

TEST(SquadScorer, TakesTheBestGivenAnswer) {
  const std::vector<std::string> given{"the", "New York City", "York"};
  EXPECT_EQ(best_score(given, "york").exact, 1);
  EXPECT_NEAR(best_score(given, "New York").f1, 0.8, 1e-12);
  EXPECT_EQ(best_score(given, "").exact, 0) << "an answer that is an article alone does not count";
  EXPECT_EQ(best_score(std::vector<std::string>{"the"}, "").exact, 1) << "unless there is no other";
  EXPECT_EQ(best_score({}, "").f1, 1);
  EXPECT_EQ(best_score({}, "x").f1, 0);
}

TEST(SquadScorer, EqualsTheOfficialOne) {
  const data::Json golden = goldens()["scores"];
  for (const auto& [text, normal] : golden["normal"].members()) EXPECT_EQ(normalized(text), normal.text());
  std::vector<std::vector<std::string>> given;
  std::vector<bool> has_answer;
  for (const auto& [id, answers] : golden["golds"].members()) {
    given.push_back(texts_of(answers));
    has_answer.push_back(!given.back().empty());
  }
  Scores scores(has_answer, {.by_kind = true, .best_threshold = true});
  std::int64_t q = 0;
  for (const auto& [id, prediction] : golden["predictions"].members()) {
    const std::string text(prediction.text());
    scores.add(q, best_score(given[static_cast<std::size_t>(q)], text), golden["odds"][id].number(), text.empty());
    ++q;
  }
  EXPECT_EQ(scores.answered(), 120);
  const std::vector<engine::MetricInfo> metrics = scores.metrics();
  const std::vector<double> values = scores.values();
  ASSERT_EQ(metrics.size(), values.size());
  std::size_t compared = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (const auto expected = golden["values"].find(metrics[i].name)) {
      EXPECT_NEAR(values[i], expected->number(), 1e-9) << metrics[i].name;
      ++compared;
    }
  EXPECT_EQ(compared, golden["values"].size());
}

TEST(SquadScorer, PartsOfASplitAddUp) {
  const Scores::Options all{.by_kind = true, .best_threshold = true};
  Scores whole({true, false, true}, all), a({true, false, true}, all), b({true, false, true}, all);
  const auto add = [](Scores& s, std::int64_t q, double f1, double odds, bool empty) { s.add(q, {.exact = 0, .f1 = f1}, odds, empty); };
  for (Scores* s : {&whole, &a}) add(*s, 1, 0, 0.5, false);
  for (Scores* s : {&whole, &b}) {
    add(*s, 0, 0.5, -1, false);
    add(*s, 2, 1, 2, true);
  }
  EXPECT_TRUE(std::isnan(Scores({true}, {}).values()[0])) << "without a case";
  a.merge(b);
  EXPECT_EQ(a.values(), whole.values());
  EXPECT_EQ(whole.values()[1], 50);
}

}  // namespace
}  // namespace capstan::span_extraction
