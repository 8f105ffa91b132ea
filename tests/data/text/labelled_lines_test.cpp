#include "data/text/labelled_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LabelledLines, NumbersClassesAsTheyCome) {
  const Scratch scratch;
  IdMap classes;
  const LabelledTexts t =
      read_labelled_lines(scratch.write("x.txt", "b what is it ?\r\n\na\twho  was\nb  two blanks"), classes, NewLabels::add);
  EXPECT_THAT(t.texts, ElementsAre("what is it ?", "who  was", " two blanks"));
  EXPECT_THAT(t.labels, ElementsAre(0, 1, 0));
  EXPECT_EQ(classes[1], "a");
  EXPECT_THAT(t.at(std::vector<std::int64_t>{2, 1}).texts, ElementsAre(" two blanks", "who  was"));
  EXPECT_THAT(read_labelled_lines(scratch.write("y.txt", "a x\n"), classes, NewLabels::refuse).labels, ElementsAre(1));
}

TEST(LabelledLines, NamesTheLineThatIsWrong) {
  const Scratch scratch;
  IdMap classes;
  const auto fault = [&](const std::string& text, NewLabels policy = NewLabels::add) {
    return message_of([&] { read_labelled_lines(scratch.write("x.txt", text), classes, policy); });
  };
  EXPECT_THAT(fault("a x\nalone\n"), HasSubstr("x.txt:2: expected a label"));
  EXPECT_THAT(fault("a x\na \n"), HasSubstr("x.txt:2: expected a label"));
  EXPECT_THAT(fault("a x\nnew x\n", NewLabels::refuse), HasSubstr("x.txt:2: the label 'new' is none of the 1 known ones"));
  EXPECT_THAT(fault("\n\n"), HasSubstr("x.txt: the file has no line"));
}

}  // namespace
}  // namespace capstan::data
