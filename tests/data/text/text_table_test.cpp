// Texts with labels from tables, JSON lines and lines: the columns that are named, and what is refused.
#include "data/text/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

struct TextTableTest : testing::Test {
  Scratch scratch;

  /// "label: text" or "label: text | pair" of each record, with its line in front.
  std::vector<std::string> records(const std::string& name, const std::string& content, const TextTableOptions& options = {}) {
    TextTable table(scratch.write(name, content), options);
    std::vector<std::string> all;
    for (TextRecord r; table.next(r);)
      all.push_back(join_text(r.line, " ", r.label, ": ", r.text, options.pair_column.empty() ? "" : " | " + r.pair));
    bad = table.bad();
    first_bad = table.first_bad();
    others = table.others();
    form = table.form_text();
    labels = table.has_labels();
    return all;
  }
  std::string fault(const std::string& name, const std::string& content, const TextTableOptions& options = {}) {
    return message_of([&] { records(name, content, options); });
  }
  std::int64_t bad = 0, others = 0;
  std::string first_bad, form;
  bool labels = true;
};

TEST_F(TextTableTest, ReadsColumnsByName) {
  EXPECT_THAT(records("a.csv", "id,label,text\r\n1, good ,\"so, \"\"fine\"\"\nit is\"\r\n2,bad,no\r\n"),
              ElementsAre("2 good: so, \"fine\"\nit is", "4 bad: no"));
  EXPECT_EQ(form, "table, separator comma (judged over 4 lines), text text, label label");
  EXPECT_THAT(records("a.tsv", "s1\ts2\ty\n\"a\tb \"c\"\tx\n",
                      {.table = {.separator = "tab", .quotes = false}, .text_column = "s1", .pair_column = "s2", .label_column = "y"}),
              ElementsAre("2 x: \"a | b \"c\""));
}

TEST_F(TextTableTest, ReadsColumnsByNumber) {
  const TableOptions glue{.separator = "tab", .quotes = false};
  const std::string cola = "gj04\t1\t\tOne more.\ngj04\t0\t*\tOne  \"more";
  EXPECT_THAT(records("a.tsv", cola, {.table = glue, .text_column = "4", .label_column = "2"}),
              ElementsAre("1 1: One more.", "2 0: One  \"more"));
  EXPECT_EQ(form, "table, separator tab, text 4, label 2");
  EXPECT_THAT(
      records("a.tsv", "index\tsentence\n0\tx y\n", {.table = glue, .header = Header::present, .text_column = "2", .label_column = ""}),
      ElementsAre("2 : x y"));
  EXPECT_THAT(records("a.tsv", "x\ty\tgood\n", {.table = glue, .text_column = "1", .pair_column = "2", .label_column = "-1"}),
              ElementsAre("1 good: x | y"));
}

TEST_F(TextTableTest, LeavesOutWhatAnotherColumnSaysIsOther) {
  EXPECT_THAT(
      records("x.tsv", "language\ttext\tlabel\nde\t\tneutral\nzh\tni hao\tneutral\n", {.only_column = "language", .only_value = "zh"}),
      ElementsAre("3 neutral: ni hao"));
  EXPECT_EQ(others, 1);
}

TEST_F(TextTableTest, ReadsJsonLines) {
  EXPECT_THAT(records("a.jsonl", "{\"text\": \"a \\u00e9\", \"label\": 1}\n\n{\"label\": true, \"text\": \"b\", \"more\": []}\n"),
              ElementsAre("1 1: a \u00e9", "3 true: b"));
  EXPECT_EQ(form, "JSON lines, text text, label label");
  EXPECT_THAT(records("a.json", "{\"q\":\"a\",\"c\":\"b\",\"y\":0.5}", {.text_column = "q", .pair_column = "c", .label_column = "y"}),
              ElementsAre("1 0.5: a | b"));
  EXPECT_THAT(fault("b.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\"}\n"), HasSubstr("b.jsonl:2: "));
  EXPECT_THAT(fault("b.jsonl", "{\"text\":[],\"label\":1}\n"),
              AllOf(HasSubstr("b.jsonl:1: /text"), HasSubstr("expected a text or a number")));
  EXPECT_THAT(fault("b.jsonl", "[1]\n"), HasSubstr("expected an object"));
  EXPECT_THAT(fault("b.jsonl", "{\"text\":\n"), HasSubstr("b.jsonl:1"));
}

TEST_F(TextTableTest, ReadsLinesOfLabelAndText) {
  EXPECT_THAT(records("a.txt", "0 How did \xe9 ?\n\n5\tHow far\n", {.form = TextTableForm::lines, .encoding = Encoding::latin1}),
              ElementsAre("1 0: How did \u00e9 ?", "3 5: How far"));
  EXPECT_EQ(form, "lines of 'label text', ISO-8859-1");
  EXPECT_THAT(fault("a.txt", "0 a\nalone\n", {.form = TextTableForm::lines}), EndsWith("a.txt:2: expected a label, a blank or a tab, and a "
                                                                                       "text, found 'alone'"));
}

TEST_F(TextTableTest, ALabelColumnMayMissWhereThatIsAllowed) {
  const TextTableOptions options{.label_may_miss = true};
  EXPECT_THAT(records("a.tsv", "index\ttext\n0\tx\n", options), ElementsAre("2 : x"));
  EXPECT_FALSE(labels);
  EXPECT_THAT(records("a.jsonl", "{\"text\":\"x\"}\n", options), ElementsAre("1 : x"));
  EXPECT_FALSE(labels);
  EXPECT_THAT(records("a.csv", "text\nit is, well\n\"so, \"\"fine\"\"\"\nlong\n", options),
              ElementsAre("2 : it is, well", "3 : so, \"fine\"", "4 : long"))
      << "one column";
  EXPECT_THAT(records("b.tsv", "label\ttext\ny\tx\n", options), ElementsAre("2 y: x"));
  EXPECT_TRUE(labels);
}

TEST_F(TextTableTest, NamesWhatIsWrongWithColumns) {
  EXPECT_THAT(fault("a.csv", "txt,label\na,b\n"),
              EndsWith("a.csv:1: there is no column 'text', found txt, label (separator comma (judged over "
                       "2 lines)); did you mean 'txt'?"));
  EXPECT_THAT(fault("a.csv", "text,label,text\na,b,c\n"), HasSubstr("a.csv:1: two columns are named 'text', at 1 and 3"));
  EXPECT_THAT(fault("a.csv", "a,b\n", {.text_column = "1", .label_column = "3"}),
              HasSubstr("a.csv:1: there is no column 3: the line has 2"));
  EXPECT_THAT(fault("a.csv", "a,b\n", {.header = Header::absent}), HasSubstr("data.header = absent"));
  EXPECT_THAT(fault("a.csv", ""), HasSubstr("a.csv: the file has no line"));
}

TEST_F(TextTableTest, RefusesBadRecordsOrLeavesThemOut) {
  const std::string all = "text,label\nfine,x\n ,x\nno label,\na,b,c\ntext,label\nlast,x\n";
  EXPECT_THAT(fault("a.csv", all), EndsWith("a.csv:3: the text is empty"));
  EXPECT_THAT(fault("a.csv", "text,label\nx,\n"), EndsWith("a.csv:2: the label is empty"));
  EXPECT_THAT(fault("a.csv", "text,label\nx,y,z\n"),
              HasSubstr("a.csv:2: found 3 fields, expected 2 as in the first line (separator comma"));
  EXPECT_THAT(fault("a.csv", "text,label\nx,y\ntext,label\n"), EndsWith("a.csv:3: the header of the file stands here again"));
  EXPECT_THAT(records("a.csv", all, {.bad_lines = BadLines::skip}), ElementsAre("2 x: fine", "7 x: last"));
  EXPECT_EQ(bad, 4);
  EXPECT_THAT(first_bad, EndsWith("a.csv:3: the text is empty"));
}

TEST_F(TextTableTest, FindsTheGzipFile) {
  EXPECT_EQ(plain_or_gzip(scratch / "a"), scratch / "a");
  scratch.write("a.gz", "");
  EXPECT_EQ(plain_or_gzip(scratch / "a"), scratch / "a.gz");
  scratch.write("a", "");
  EXPECT_EQ(plain_or_gzip(scratch / "a"), scratch / "a");
}

}  // namespace
}  // namespace capstan::data
