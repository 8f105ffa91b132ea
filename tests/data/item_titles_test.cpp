#include "data/item_titles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

/// Of the items a, b and 7.
struct Titles {
  std::vector<std::string> of;
  DataReport report;
  explicit Titles(std::string_view content, const TitleOptions& options = {}) {
    const Scratch dir;
    IdMap items;
    for (const char* name : {"a", "b", "7"}) items.add(name);
    of = read_item_titles(dir.write("f", content), options, items, report);
  }
};

std::string titles_refusal(std::string_view content, const TitleOptions& options = {}) {
  return message_of<DataError>([&] { Titles(content, options); });
}

TEST(ItemTitles, TheUsualFormsAreRead) {
  for (const char* content : {
           "7::Heat, The (1995)::Crime|Drama\na::\"A\"::Drama\nx::X::Comedy\n",              // movies.dat
           "item_id:token\tmovie_title:token_seq\tyear\n7\tHeat, The (1995)\t1995\na\tA\n",  // .item
           "Name,movieId\n\"Heat, The (1995)\",7\n\n\"A\",a\r\n",                            // the title first
           "id;category;Title\n7;Name;Heat, The (1995)\na;Name;A\n",                         // a title before a name
           "7|\"Heat, The (1995)\"|Crime|\na|A|x|\n",                                        // every line ends with a separator
       })
    EXPECT_THAT(Titles(content).of, ElementsAre("A", "", "Heat, The (1995)")) << content;
  EXPECT_THAT(Titles("k,t,title\na,A,x\n", {.item_column = "k", .title_column = "2"}).of, ElementsAre("A", "", ""));
  EXPECT_THAT(Titles("A:a\n", {.table = {.separator = ":"}, .item_column = "2", .title_column = "1"}).of, ElementsAre("A", "", ""));
  EXPECT_THAT(Titles("7,Name\na,A\n", {.item_column = "1", .title_column = "2"}).of, ElementsAre("A", "", "Name")) << "no header";
  EXPECT_THAT(Titles("id,t:token,t:float\na,A,1\n", {.title_column = "t:token"}).of, ElementsAre("A", "", ""));
  EXPECT_THAT(Titles("7\t\"Quote\" it\n", {.table = {.quotes = false}}).of, ElementsAre("", "", "\"Quote\" it"));
}

TEST(ItemTitles, AreTextForPeople) {
  // é of ISO-8859-1 beside one of UTF-8; a line break in quotes, a control character, one of C1.
  const Titles titles("a::Mis\xe9rables\nb::Mis\xc3\xa9rables\n7::\"two\nlines\x01\x1b[0m\"\n");
  EXPECT_THAT(titles.of, ElementsAre("Mis\xc3\xa9rables", "Mis\xc3\xa9rables", "two lines  [0m"));
  EXPECT_THAT(titles.report.facts.at(0).text, EndsWith("; 1 title is not UTF-8 and read as ISO-8859-1"));
  EXPECT_THAT(Titles("a::A\na::\xe9\nx::\xe9\n").report.facts.at(0).text, Not(HasSubstr("ISO-8859-1"))) << "of titles that are shown";
  EXPECT_THAT(Titles("a::\x80\xff\n").of[0], "\xc3\xbf");
  EXPECT_THAT(Titles("a::\xed\xa0\x80 x\n").of[0], "\xc3\xad\xc2\xa0  x") << "a surrogate is no UTF-8";
}

TEST(ItemTitles, TheReportCountsThem) {
  const auto fact = [](std::string_view content) {
    const Titles titles(content);
    EXPECT_TRUE(titles.report.warnings.empty());
    return titles.report.facts.at(0).text;
  };
  EXPECT_THAT(fact("item_id,title\na,A\nx,X\n"), EndsWith(": 1 of 3 items have a title; separator comma (judged over 3 lines), item 1 "
                                                          "'item_id', title 2 'title'"));
  EXPECT_THAT(fact("a,A\nb,\nb,\n7,\n7,S\n"),
              AllOf(HasSubstr(": 2 of 3 items"), EndsWith("item 1, title 2; 1 item stands there with an empty title")));
  EXPECT_THAT(fact("a,A\na,A\na,B\na,C\n"), EndsWith("; 2 lines have another title of an item, whose first counts"));
  EXPECT_THAT(Titles("y,Y\nz,Z\n").report.warnings,
              ElementsAre(HasSubstr("ids there are 'y', 'z', ..., items of the data are 'a', 'b', '7', ...")));
  const std::string start(39, 'x');  // cut between letters, and valid UTF-8
  EXPECT_THAT(Titles(join_text(start, "\xc3\xa9\xc3\xa9,X\n\xe9,Y\n")).report.warnings,
              ElementsAre(HasSubstr(join_text("'", start, "\xc3\xa9', '\xc3\xa9', ..."))));
  EXPECT_THAT(Titles("a,\nb,\n").report.warnings, ElementsAre(HasSubstr("no item has a title in ")));
}

TEST(ItemTitles, WhatIsWrongNamesItsLine) {
  EXPECT_THAT(titles_refusal(""), HasSubstr("f: the file is empty, expected a line with an id and a title"));
  EXPECT_THAT(titles_refusal("\n\n"), HasSubstr("f: the file is empty"));
  EXPECT_THAT(titles_refusal("id,title\n"), HasSubstr("f: nothing follows the header"));
  EXPECT_THAT(titles_refusal("a\nb\n"), HasSubstr("f:1: 1 field ('a'), expected an item id and its title; data.title_separator"));
  EXPECT_THAT(titles_refusal("id,kind\na,x\n"), HasSubstr("f:1: no title column; the header has 'id', 'kind'; data.title_column names"));
  EXPECT_THAT(titles_refusal("code,title\na,x\n"),
              HasSubstr("f:1: no item column; the header has 'code', 'title'; data.title_item_column"));
  EXPECT_THAT(titles_refusal("id,title\na,x\n", {.title_column = "name"}), HasSubstr("f:1: no title column 'name'; the header has"));
  EXPECT_THAT(titles_refusal("a,A\n", {.item_column = "3"}),
              HasSubstr("f:1: no item column '3': without a header columns are numbered from 1 to 2"));
  EXPECT_THAT(titles_refusal("a,A\n", {.item_column = "2"}), HasSubstr("f:1: column 2 cannot hold both"));
  EXPECT_THAT(titles_refusal("id,title,title\na,A,B\n"), HasSubstr("f:1: columns 2 and 3 are both named 'title': data.title_column says"));
  EXPECT_THAT(titles_refusal("a::A\nb\n"),
              HasSubstr("f:2: 1 field, expected at least 2, the item id in column 1 and the title in column 2"));
  EXPECT_THAT(titles_refusal("id,title\na,A\nb,B, The\n"), HasSubstr("f:3: 3 fields, expected 2 as in the first line"));
  EXPECT_THAT(titles_refusal("a,A\n,B\n"), HasSubstr("f:2: the item id in column 1 is empty"));
  EXPECT_THAT(titles_refusal("{\"id\": 1}\n"), HasSubstr("JSON"));

  const Titles skipped("id,title\n,A\nb,B, The\nb\nb,B\n", {.bad_lines = BadLines::skip});
  EXPECT_THAT(skipped.of, ElementsAre("", "B", ""));
  EXPECT_THAT(skipped.report.warnings, ElementsAre(AllOf(HasSubstr("3 lines that could not be read are left out"), HasSubstr("f:2: "))));
}

}  // namespace
}  // namespace capstan::data
