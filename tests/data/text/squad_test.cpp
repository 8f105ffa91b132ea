#include "data/text/squad.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Squad, ReadsBothVersions) {
  const Scratch scratch;
  const Squad s = read_squad(scratch.write("s.json", R"({"version": "v2.0", "data": [
    {"title": "A", "paragraphs": [
      {"context": "né in Köln", "qas": [
        {"id": "q1", "question": "where?", "answers": [{"text": "Köln", "answer_start": 6}, {"text": "in Köln", "answer_start": 3}]},
        {"id": "q2", "question": "when?", "is_impossible": true, "plausible_answers": [{"text": "in", "answer_start": 3}], "answers": []}]},
      {"context": "", "qas": []}]},
    {"paragraphs": [{"context": "x", "qas": [
        {"id": "q3", "question": "", "is_impossible": false, "answers": [{"text": "x", "answer_start": 0}]},
        {"id": "q4", "question": "?", "is_impossible": true}]}]}]})"));
  EXPECT_THAT(s.titles, ElementsAre("A", ""));
  ASSERT_EQ(s.paragraphs.size(), 3u);
  EXPECT_EQ(s.paragraphs[0].context, "né in Köln");
  EXPECT_EQ(s.paragraphs[2].article, 1);
  ASSERT_EQ(s.questions.size(), 4u);
  ASSERT_EQ(s.questions[0].answers.size(), 2u);
  EXPECT_EQ(s.questions[0].answers[1].text, "in Köln");
  EXPECT_EQ(s.questions[0].answers[1].start, 3);
  EXPECT_EQ(s.questions[0].text, "where?");
  EXPECT_TRUE(s.questions[1].impossible);
  EXPECT_FALSE(s.questions[2].impossible);
  EXPECT_TRUE(s.has_impossible());
  EXPECT_EQ(s.questions[2].paragraph, 2);
  EXPECT_EQ(s.place(s.questions[3]), scratch / "s.json" + ": /data/1/paragraphs/0/qas/1");

  const Squad part = s.of_articles(std::vector<std::int64_t>{1});
  ASSERT_EQ(part.questions.size(), 2u);
  EXPECT_EQ(part.questions[0].id, "q3");
  EXPECT_EQ(part.paragraphs[static_cast<std::size_t>(part.questions[0].paragraph)].context, "x");
  EXPECT_EQ(part.place(part.questions[1]), s.place(s.questions[3])) << "as in the file";
}

TEST(Squad, NamesThePlaceOfWhatIsWrong) {
  const Scratch scratch;
  const auto message = [&](const std::string& text) {
    const std::string path = scratch.write("s.json", text);
    return message_of<DataError>([&] { read_squad(path); });
  };
  // One paragraph "abc def" with these questions.
  const auto of_questions = [&](const std::string& qas) {
    return message(R"({"data": [{"paragraphs": [{"context": "abc def", "qas": [)" + qas + "]}]}]}");
  };
  const auto of_answers = [&](const std::string& answers) {
    return of_questions(R"({"id": "a", "question": "?", "answers": [)" + answers + "]}");
  };
  EXPECT_THAT(message("{}"), HasSubstr(R"(s.json: has no "data")"));
  EXPECT_THAT(message(R"({"data": [{"title": "T"}]})"), HasSubstr(R"(s.json: /data/0: has no "paragraphs")"));
  EXPECT_THAT(message(R"({"data": [{"paragraphs": [{"qas": []}]}]})"), HasSubstr(R"(/data/0/paragraphs/0: has no "context")"));
  EXPECT_THAT(message(R"({"data": [{"paragraphs": [{"context": "x"}]}]})"), HasSubstr(R"(/data/0/paragraphs/0: has no "qas")"));
  EXPECT_THAT(message(R"({"data": []})"), HasSubstr("the file has no question"));
  EXPECT_THAT(message("[1,"), HasSubstr("is no valid JSON"));
  EXPECT_THAT(of_questions(R"({"question": "?", "answers": []})"), HasSubstr(R"(/qas/0: has no "id")"));
  EXPECT_THAT(of_questions(R"({"id": 7, "question": "?", "answers": []})"), HasSubstr("/qas/0/id: expected text, found an integer"));
  EXPECT_THAT(of_questions(R"({"id": "a", "answers": []})"), HasSubstr(R"(/qas/0: has no "question")"));
  EXPECT_THAT(of_questions(R"({"id": "a", "question": "?"})"), HasSubstr(R"(/qas/0: has no "answers")"));
  EXPECT_THAT(of_answers(""), HasSubstr("/qas/0: a question must have an answer unless is_impossible is true"));
  EXPECT_THAT(of_questions(R"({"id": "a", "question": "?", "is_impossible": true, "answers": [{"text": "abc", "answer_start": 0}]})"),
              HasSubstr("/qas/0: is_impossible is true, but there are 1 answers"));
  EXPECT_THAT(of_questions(R"({"id": "a", "question": "?", "is_impossible": "no", "answers": []})"),
              HasSubstr("/qas/0/is_impossible: expected true or false, found text"));
  EXPECT_THAT(of_answers(R"({"text": "abc"})"), HasSubstr(R"(/answers/0: has no "answer_start")"));
  EXPECT_THAT(of_answers(R"({"answer_start": 0})"), HasSubstr(R"(/answers/0: has no "text")"));
  EXPECT_THAT(of_answers(R"({"text": "", "answer_start": 0})"), HasSubstr("/answers/0/text: an answer must have a text"));
  EXPECT_THAT(of_answers(R"({"text": "def", "answer_start": -1})"),
              HasSubstr("/answers/0/answer_start: an answer must lie in its context of 7 characters, got 3 characters from -1 on"));
  EXPECT_EQ(of_answers(R"({"text": "def", "answer_start": 4})"), "nothing was thrown");
  EXPECT_THAT(of_answers(R"({"text": "def", "answer_start": 5})"), HasSubstr("got 3 characters from 5 on"));
  EXPECT_THAT(of_answers(R"({"text": "def", "answer_start": 9223372036854775807})"), HasSubstr("answer_start"));
  EXPECT_THAT(of_answers(R"({"text": "def", "answer_start": 4.5})"), HasSubstr("/answers/0/answer_start: expected an integer"));
  const std::string twice = R"({"id": "a", "question": "?", "answers": [{"text": "abc", "answer_start": 0}]})";
  EXPECT_THAT(of_questions(twice + "," + twice),
              AllOf(HasSubstr(R"(/data/0/paragraphs/0/qas/1/id: ids must differ, got "a", which is that of )"), HasSubstr("/qas/0")));
}

}  // namespace
}  // namespace capstan::data
