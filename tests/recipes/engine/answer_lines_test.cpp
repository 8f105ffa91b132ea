#include "recipes/engine/command/answer_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

/// Answers each line with "number:line" and counts the batches.
struct Echo {
  std::ostringstream out;
  std::vector<std::string> kept;
  std::vector<std::size_t> batches;

  Refused run(std::istream& in, std::int64_t batch_size) {
    return answer_lines(in, out, batch_size,
                        {.take =
                             [&](const std::string& line, std::int64_t number) {
                               require<DataError>(line != "bad", "line ", number, ": bad");
                               require<IoError>(line != "unreadable", "line ", number, ": unreadable");
                               kept.push_back(std::to_string(number) + ":" + line);
                             },
                         .answer =
                             [&] {
                               batches.push_back(kept.size());
                               return std::exchange(kept, {});
                             },
                         .refusal = [](std::string_view text, std::int64_t, std::string_view) { return "refused " + std::string(text); }});
  }
  std::string on(const std::string& text, std::int64_t batch_size = 2) {
    std::istringstream in(text);
    run(in, batch_size);
    return out.str();
  }
};

TEST(AnswerLines, AnswersInBatchesAndTheRest) {
  Echo echo;
  EXPECT_EQ(echo.on("a\nb\r\n\nd\ne"), "1:a\n2:b\n3:\n4:d\n5:e\n");
  EXPECT_THAT(echo.batches, testing::ElementsAre(2, 2, 1));
}

TEST(AnswerLines, AnswersNothingWithNothing) {
  Echo echo;
  EXPECT_EQ(echo.on(""), "");
  EXPECT_TRUE(echo.batches.empty());
}

TEST(AnswerLines, ABadLineCostsItsOwnAnswer) {
  Echo echo;
  std::istringstream in("a\nbad\nc\nunreadable\nbad\nf\nbad");
  const Refused refused = echo.run(in, 3);
  EXPECT_EQ(echo.out.str(), "1:a\nrefused bad\n3:c\nrefused unreadable\nrefused bad\n6:f\nrefused bad\n");
  EXPECT_THAT(echo.batches, testing::ElementsAre(2, 1)) << "a batch of refused lines asks for no answer";
  EXPECT_EQ(refused.count, 4);
  EXPECT_EQ(refused.lines, 7);
  EXPECT_EQ(refused.first, "line 2: bad");
}

TEST(AnswerLines, ARefusedLineIsARowOfNan) {
  std::istringstream in("1\n2\nbad\n4\nbad");
  std::vector<float> kept;
  std::vector<std::string> rows;
  const Refused refused = answer_rows(in, 3,
                                      {.take =
                                           [&](const std::string& line, std::int64_t number) {
                                             require<DataError>(line != "bad", "line ", number, ": bad");
                                             kept.push_back(std::stof(line));
                                             kept.push_back(-kept.back());
                                           },
                                       .answer =
                                           [&] {
                                             const auto count = static_cast<std::int64_t>(kept.size()) / 2;
                                             return Tensor::from(std::exchange(kept, {}), {count, 2});
                                           },
                                       .width = 2,
                                       .write = [&](std::span<const float> row) { rows.push_back(join_text(row[0], " ", row[1])); }});
  EXPECT_THAT(rows, testing::ElementsAre("1 -1", "2 -2", "nan nan", "4 -4", "nan nan"));
  EXPECT_EQ(refused.count, 2);
  EXPECT_EQ(refused.lines, 5);
}

TEST(AnswerLines, OtherErrorsEndTheWork) {
  std::istringstream in("a\nb\n");
  std::ostringstream out;
  EXPECT_THROW(answer_lines(in, out, 2,
                            {.take = [](const std::string&, std::int64_t) { throw InternalError("ours"); },
                             .answer = [] { return std::vector<std::string>(); },
                             .refusal = [](std::string_view, std::int64_t, std::string_view) { return std::string(); }}),
               InternalError);
}

/// A pipe whose writer gives a line, and the next one only when that was answered.
class Dialogue : public std::streambuf {
 public:
  Dialogue(std::vector<std::string> lines, const std::ostringstream& answers) : lines_(std::move(lines)), answers_(answers) {}
  std::vector<std::string> seen;  ///< all answers, at the time of each new line

 protected:
  int_type underflow() override {
    if (next_ == lines_.size()) return traits_type::eof();
    seen.push_back(answers_.str());
    std::string& line = lines_[next_++];
    setg(line.data(), line.data(), line.data() + line.size());
    return traits_type::to_int_type(line.front());
  }

 private:
  std::vector<std::string> lines_;
  const std::ostringstream& answers_;
  std::size_t next_ = 0;
};

TEST(AnswerLines, DoesNotWaitForAFullBatch) {
  Echo echo;
  Dialogue dialogue({"a\n", "b\nc\n", "d\n"}, echo.out);
  std::istream in(&dialogue);
  echo.run(in, 100);
  EXPECT_THAT(dialogue.seen, testing::ElementsAre("", "1:a\n", "1:a\n2:b\n3:c\n"));
  EXPECT_EQ(echo.out.str(), "1:a\n2:b\n3:c\n4:d\n");
}

TEST(AnswerLines, StopsWhenNobodyReads) {
  Echo echo;
  std::istringstream in("a\nb\nc\n");
  echo.out.setstate(std::ios::badbit);
  echo.run(in, 1);
  EXPECT_EQ(in.tellg(), 0) << "no line was read";
}

}  // namespace
}  // namespace capstan::engine
