// Windows and answers equal those of an independent program, make_spans.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/text/unicode.h"
#include "recipes/tasks/span_extraction/evaluation.h"
#include "recipes/tasks/span_extraction/predictions.h"
#include "recipes/tasks/span_extraction/questions.h"
#include "tests/message_of.h"
#include "tests/recipes/tasks/span_extraction/fixtures.h"

namespace capstan::span_extraction {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SpanQuestions, AreTheWindowsOfTheOriginal) {
  for (const data::Json& golden : goldens()["windows"].items()) {
    const WindowOptions options{golden["length"].integer(), golden["question_length"].integer(), golden["stride"].integer()};
    const Questions questions(golden_squad(), golden_tokenizer(), options, Questions::Use::training, true);
    const std::vector<data::Json> rows = golden["rows"].items();
    ASSERT_EQ(questions.size(), std::ssize(rows));
    EXPECT_EQ(questions.counts().not_found, std::ssize(golden["left_out"].items()));
    std::int64_t with_answer = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto [number, window] = questions.place(static_cast<std::int64_t>(i));
      SCOPED_TRACE(join_text(options.length, ", window ", i));
      EXPECT_EQ(questions.question(number).id, rows[i]["id"].text());
      const Window w = questions.window(static_cast<std::int64_t>(i), golden_vocabulary());
      std::vector<std::string> tokens;
      for (const std::int32_t id : w.ids) tokens.push_back(golden_vocabulary().token(id));
      EXPECT_EQ(tokens, texts_of(rows[i]["tokens"]));
      EXPECT_EQ(w.first, rows[i]["first"].integer());
      EXPECT_EQ(w.start, rows[i]["answer"].items()[0].integer());
      EXPECT_EQ(w.end, rows[i]["answer"].items()[1].integer());
      const std::vector<Span> windows = questions.windows(number);
      const Span pieces = windows[static_cast<std::size_t>(window)];
      const std::vector<data::Json> owned = rows[i]["owned"].items();
      ASSERT_EQ(pieces.length(), std::ssize(owned));
      for (std::size_t k = 0; k < owned.size(); ++k)
        EXPECT_EQ(owner(windows, pieces.first + static_cast<std::int64_t>(k)) == window, owned[k].boolean());
      with_answer += w.start > 0 ? 1 : 0;
    }
    EXPECT_EQ(questions.counts().with_answer, with_answer);
  }
}

TEST(SpanQuestions, SayWhichQuestionCannotTrain) {
  const auto made = [](Questions::Use use, bool unanswerable, std::vector<data::SquadAnswer> answers) {
    data::Squad squad = golden_squad();
    squad.questions[1].answers = std::move(answers);
    squad.questions[1].impossible = squad.questions[1].answers.empty();
    return message_of<DataError>([&] { Questions(squad, golden_tokenizer(), {}, use, unanswerable); });
  };
  using enum Questions::Use;
  EXPECT_THAT(made(training, true, {{"1895", 59}, {"1895", 59}}),
              HasSubstr("spans_squad.json: /data/0/paragraphs/0/qas/1: a question that trains must have exactly one answer, or "
                        "is_impossible: it has 2"));
  EXPECT_THAT(made(training, false, {}), HasSubstr("/qas/1: a question that trains must have exactly one answer: it has 0"));
  EXPECT_EQ(made(training, true, {}), "nothing was thrown");
  EXPECT_EQ(made(evaluation, false, {{"1895", 59}, {"1943", 64}}), "nothing was thrown");
}

TEST(SpanDecode, TakesTheLargestStably) {
  EXPECT_THAT(best_indices(std::vector<float>{.1f, .5f, .5f, .3f}, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(best_indices(std::vector<float>{1, 2}, 5), ElementsAre(1, 0));
  EXPECT_THAT(message_of<NumericalError>([] { best_indices(std::vector<float>{1, std::nanf("")}, 1); }), HasSubstr("NaN"));
}

/// All answers of the golden questions with its logits.
struct GoldenAnswers {
  Questions questions;
  std::vector<WindowLogits> logits;
  data::BasicTokenizer basic;

  GoldenAnswers() : questions(golden_squad(), golden_tokenizer(), options(), Questions::Use::evaluation, true) {
    const auto numbers = [](const data::Json& list) {
      std::vector<float> out;
      for (const data::Json& v : list.items()) out.push_back(static_cast<float>(v.number()));
      return out;
    };
    for (const data::Json& question : goldens()["logits"]["values"].items())
      for (const data::Json& window : question.items())
        logits.push_back({.start = numbers(window.items()[0]), .end = numbers(window.items()[1])});
  }
  static WindowOptions options() {
    const data::Json golden = goldens()["logits"];
    return {golden["length"].integer(), golden["question_length"].integer(), golden["stride"].integer()};
  }
  /// Added in batches that part the windows of a question.
  Evaluation evaluated(const DecodeOptions& decoding) const {
    Evaluation out(questions, {&golden_vocabulary(), &basic, decoding}, true);
    for (std::size_t i = 0; i < logits.size(); i += 3) {
      const std::size_t count = std::min<std::size_t>(3, logits.size() - i);
      std::vector<std::int64_t> indices;
      for (std::size_t k = 0; k < count; ++k) indices.push_back(static_cast<std::int64_t>(i + k));
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(i);
      out.add(indices, {first, first + static_cast<std::ptrdiff_t>(count)});
    }
    return out;
  }
};

TEST(SpanDecode, WritesTheFilesOfTheOriginal) {
  const GoldenAnswers golden;
  ASSERT_EQ(golden.questions.size(), std::ssize(golden.logits));
  for (const data::Json& expected : goldens()["decoded"].items()) {
    SCOPED_TRACE(expected.place());
    const DecodeOptions decoding{.n_best = expected["n_best"].integer(),
                                 .max_length = expected["max_length"].integer(),
                                 .null_threshold = expected["threshold"].number(),
                                 .unanswerable = expected["unanswerable"].boolean()};
    const Evaluation evaluation = golden.evaluated(decoding);
    const Predictions predictions = evaluation.predictions();
    EXPECT_EQ(predictions_json(predictions), expected["predictions"].text());
    EXPECT_EQ(nbest_json(predictions), expected["nbest"].text());
    if (decoding.unanswerable) {
      EXPECT_EQ(null_odds_json(predictions), expected["null_odds"].text());
    }
    EXPECT_EQ(evaluation.scores().answered(), std::ssize(golden_squad().questions));
  }
}

TEST(SpanDecode, SaysWhereAnAnswerStands) {
  const GoldenAnswers golden;
  std::size_t places = 0;
  for (const auto& [id, answers] : golden.evaluated({.n_best = 20, .unanswerable = true}).predictions()) {
    const auto q = std::ranges::find(golden_squad().questions, id, &data::SquadQuestion::id);
    const std::string& context = golden_squad().paragraphs[static_cast<std::size_t>(q->paragraph)].context;
    for (const Answer& a : answers.n_best) {
      if (a.text.empty()) {
        EXPECT_EQ(a.begin, -1);
        continue;
      }
      // The text has one blank where the context may have other white space.
      const std::u32string cut =
          data::unicode::to_utf32(context).substr(static_cast<std::size_t>(a.begin), static_cast<std::size_t>(a.end - a.begin));
      EXPECT_EQ(data::unicode::single_blanks(data::unicode::to_utf8(cut)), data::unicode::single_blanks(a.text));
      ++places;
    }
  }
  EXPECT_GT(places, 100u);
}

TEST(SpanPredictions, AreWrittenAsPythonDoes) {
  for (const auto& [value, text] : std::vector<std::pair<double, std::string>>{{1, "1.0"},
                                                                               {0, "0.0"},
                                                                               {-0.5, "-0.5"},
                                                                               {0.1f, "0.10000000149011612"},
                                                                               {1e15, "1000000000000000.0"},
                                                                               {1e16, "1e+16"},
                                                                               {0.0001, "0.0001"},
                                                                               {0.00001, "1e-05"},
                                                                               {1.5e-7, "1.5e-07"},
                                                                               {123456.75, "123456.75"}})
    EXPECT_EQ(python_number(value), text);
  EXPECT_EQ(ascii_json_string("a\"\\\n\x01\x7fé😀"), R"("a\"\\\n\u0001\u007f\u00e9\ud83d\ude00")");
  EXPECT_EQ(predictions_json({}), "{}\n");
}

}  // namespace
}  // namespace capstan::span_extraction
