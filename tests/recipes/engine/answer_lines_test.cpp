#include "recipes/engine/command/answer_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

/// Answers each line with "number:line;" and every batch with a bar behind it.
struct Echo {
  std::ostringstream out;
  std::vector<std::string> kept;

  void run(std::istream& in, std::int64_t batch_size) {
    answer_lines(
        in, out, batch_size,
        [&](const std::string& line, std::int64_t number) {
          require<DataError>(line != "bad", "line ", number, ": bad");
          kept.push_back(std::to_string(number) + ":" + line + ";");
        },
        [&] {
          for (const std::string& answer : kept) out << answer;
          out << '|';
          kept.clear();
        });
  }
  std::string on(const std::string& text, std::int64_t batch_size = 2) {
    std::istringstream in(text);
    run(in, batch_size);
    return out.str();
  }
};

TEST(AnswerLines, AnswersInBatchesAndTheRest) { EXPECT_EQ(Echo().on("a\nb\r\n\nd\ne"), "1:a;2:b;|3:;4:d;|5:e;|"); }

TEST(AnswerLines, AnswersNothingWithNothing) { EXPECT_EQ(Echo().on(""), ""); }

TEST(AnswerLines, AnswersWhatStandsBeforeABadLine) {
  Echo echo;
  EXPECT_THROW(echo.on("a\nb\nc\nbad\ne\n"), DataError);
  EXPECT_EQ(echo.out.str(), "1:a;2:b;|3:c;|");
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
  EXPECT_THAT(dialogue.seen, testing::ElementsAre("", "1:a;|", "1:a;|2:b;3:c;|"));
  EXPECT_EQ(echo.out.str(), "1:a;|2:b;3:c;|4:d;|");
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
