#include "data/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Every record as "line: [field][field]", after the name of the separator.
std::vector<std::string> records(const std::string& content, const TableOptions& options = {}) {
  const Scratch dir;
  TableReader table(dir.write("f", content), options);
  std::vector<std::string> out{separator_name(table.separator())};
  while (table.next()) {
    out.push_back(join_text(table.line_number(), ": "));
    for (const auto f : table.fields()) out.back() += join_text("[", f, "]");
  }
  return out;
}

std::string table_refusal(const std::string& content, const TableOptions& options = {}) {
  return message_of<DataError>([&] { records(content, options); });
}

TEST(Table, EverySeparatorIsFound) {
  EXPECT_THAT(records("u a\n v\tb \n"), ElementsAre("blank", "1: [u][a]", "2: [v][b]"));
  EXPECT_THAT(records("u\tThe Wire\nv\tb c d"), ElementsAre("tab", "1: [u][The Wire]", "2: [v][b c d]"));
  EXPECT_THAT(records("u|a b|1\nv|c|2\n"), ElementsAre("pipe", "1: [u][a b][1]", "2: [v][c][2]"));
  EXPECT_THAT(records("1::2::5::9\n1::3::4::8\n"), ElementsAre("'::'", "1: [1][2][5][9]", "2: [1][3][4][8]"));
  EXPECT_THAT(records("u\x01x, y\nv\x01z\tz\n"), ElementsAre("control-a", "1: [u][x, y]", "2: [v][z\tz]"));
  EXPECT_THAT(records("u,2014-04-07 10:51:09,a\n"), ElementsAre("comma", "1: [u][2014-04-07 10:51:09][a]"));
  EXPECT_THAT(records("u,a\n\n # \nv,b\n", {.comment = " #"}), ElementsAre("comma", "1: [u][a]", "4: [v][b]"));
}

TEST(Table, TheSeparatorIsJudgedOverManyLines) {
  EXPECT_THAT(records("u;Bread, no. 4;1000\nu;Bread, no. 5;1010\n"),
              ElementsAre("semicolon", "1: [u][Bread, no. 4][1000]", "2: [u][Bread, no. 5][1010]"));
  EXPECT_EQ(records("user;item\nu;a,b\nu;c,d\nu;e,f\n").front(), "semicolon");
  EXPECT_EQ(records("user,item\nu,a;b\nu,c;d\nu,e\n").front(), "comma");
  EXPECT_EQ(records("a title, long\tu\nb\tv\n").front(), "tab");
  EXPECT_EQ(records("1;2\n1;3\n4\n").front(), "semicolon") << "a broken line does not change it";
}

TEST(Table, AGivenSeparatorIsTaken) {
  EXPECT_THAT(records("u;a,b\n", {.separator = "comma"}), ElementsAre("comma", "1: [u;a][b]"));
  EXPECT_THAT(records("u->a\n", {.separator = "->"}), ElementsAre("'->'", "1: [u][a]"));
  EXPECT_EQ(separator_from("\\t"), "\t");
  EXPECT_EQ(separator_from("control-a"), "\x01");
  EXPECT_THROW(records("u\"a\n", {.separator = "\""}), ConfigError);
}

TEST(Table, QuotesAreTakenOffWithEverySeparator) {
  for (const std::string s : {"\t", ",", ";", "|", "::", "\x01", " "})
    EXPECT_EQ(records("\"u\"" + s + "\"a" + s + "b\"\n\"v\"" + s + "\"say \"\"hi\"\"\"\n"),
              (std::vector<std::string>{separator_name(s), "1: [u][a" + s + "b]", "2: [v][say \"hi\"]"}))
        << separator_name(s);
  EXPECT_THAT(records("u , \"a\" ,1\nv,\"\",2\n"), ElementsAre("comma", "1: [u][a][1]", "2: [v][][2]"));
}

TEST(Table, LineBreaksInsideQuotes) {
  EXPECT_THAT(records("u,a,\"nice, but\r\nnot for me\n\n\"\"no\"\"\"\nv,b,c\n"),
              ElementsAre("comma", "1: [u][a][nice, but\nnot for me\n\n\"no\"]", "5: [v][b][c]"));
}

TEST(Table, AQuoteInsideAFieldIsALetter) {
  EXPECT_THAT(records("u,5\" screen,1\nv,6\"\" \"x\",2\n"), ElementsAre("comma", "1: [u][5\" screen][1]", "2: [v][6\"\" \"x\"][2]"));
  EXPECT_THAT(records("u\t\"5\nv\t\"x\" y\n", {.quotes = false}), ElementsAre("tab", "1: [u][\"5]", "2: [v][\"x\" y]"));
}

TEST(Table, BrokenQuotesNameTheirLine) {
  EXPECT_THAT(table_refusal("u,a\nu,\"b\nu,c\n"), HasSubstr("f:2: a quote opened in this line is never closed (looked as far as line 3)"));
  EXPECT_THAT(table_refusal("u,a\nu,\"b\" c\n"),
              HasSubstr("f:2: a quoted field that begins in this line is closed in line 2 and followed"));
  EXPECT_THAT(table_refusal("u\t\"x\" y\nv\t\"x\" z\n"), HasSubstr("closed in line 1 and followed by more than the separator tab"));
  EXPECT_THAT(table_refusal("u,a\nu,\"b\nu,\"c\"\n"), HasSubstr("f:2: a quoted field that begins in this line is closed in line 3"));
}

TEST(Table, OldMacLineEndsAreNamed) { EXPECT_THAT(table_refusal("u\ta\rv\tb\r"), HasSubstr("CR alone")); }

TEST(Table, DamagedLinesAreNamed) {
  EXPECT_THAT(table_refusal(std::string("user,item\nv,b\0c\n", 16)), HasSubstr("f:2: byte 4 is NUL"));
  EXPECT_THAT(table_refusal("{\"user\": 1, \"item\": 2}\n"), HasSubstr("f:1: the file begins with '{\"': JSON"));
  EXPECT_THAT(table_refusal("u,a\nv,b\rw,c\nx,d\n"), HasSubstr("f:2: a carriage return stands within the line, after 3 bytes"));
  EXPECT_THAT(records("u,\"a\rb\"\r\r\nv,c\n"), ElementsAre("comma", "1: [u][a\rb]", "2: [v][c]"));
}

TEST(Table, ManyLinesAndAnEmptyFile) {
  std::string content;
  for (int i = 0; i < 1000; ++i) content += join_text("u", i, ",a\n");
  const auto all = records(content);
  ASSERT_EQ(all.size(), 1001u);
  EXPECT_EQ(all[1000], "1000: [u999][a]");
  EXPECT_THAT(records(""), ElementsAre("blank"));
}

}  // namespace
}  // namespace capstan::data
