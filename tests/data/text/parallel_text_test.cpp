// Texts in two languages line by line, and the subword models learned from them.
#include "data/text/parallel_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "data/text/subword.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ParallelText, KeepsLinesTogetherAndLeavesOutEmptyOnes) {
  const Scratch scratch;
  const ParallelText text =
      read_parallel_text(scratch.write("a.en", "one\n\ntwo \r\n three\nfour\n"), scratch.write("a.de", "eins\nnull\nzwei\n\t\nvier"));
  EXPECT_EQ(text.source, (std::vector<std::string>{"one", "two", "four"}));
  EXPECT_EQ(text.target, (std::vector<std::string>{"eins", "zwei", "vier"}));
  EXPECT_EQ(text.lines, (std::vector<std::int64_t>{1, 3, 5}));
  EXPECT_EQ(text.empty, 2);
  EXPECT_EQ(text.first_empty, 2);
}

TEST(ParallelText, RefusesWhatDoesNotBelongTogether) {
  const Scratch scratch;
  const std::string three = scratch.write("b.en", "1\n2\n3\n"), five = scratch.write("b.de", "1\n2\n3\n4\n5\n");
  EXPECT_THAT(message_of([&] { read_parallel_text(three, five); }),
              AllOf(HasSubstr("b.en has 3 lines and "), HasSubstr("b.de has 5 lines")));
  EXPECT_THAT(message_of([&] { read_parallel_text(five, three); }),
              AllOf(HasSubstr("b.de has 5 lines and "), HasSubstr("b.en has 3 lines")));
  const std::string blank = scratch.write("c.en", "\n\n");
  EXPECT_THAT(message_of([&] { read_parallel_text(blank, blank); }), HasSubstr("there is no line with a text on both sides"));
  EXPECT_EQ(language_file(scratch / "b", "de"), five);
  EXPECT_THAT(message_of([&] { language_file(scratch / "b", "fr"); }), AllOf(HasSubstr("b.fr: no such file, nor "), HasSubstr("b.fr.gz")));
}

constexpr std::string_view kTexts[] = {"the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "Größe über alles"};

SubwordModel learned(const SubwordOptions& options) {
  std::size_t next = 0;
  return SubwordModel::learned(options, [&](std::string_view& text) {
    if (next == std::size(kTexts)) return false;
    text = kTexts[next++];
    return true;
  });
}

TEST(SubwordModel, GivesBackItsTexts) {
  for (const SubwordKind kind : {SubwordKind::bpe, SubwordKind::unigram, SubwordKind::character}) {
    const SubwordModel model = learned({.kind = kind, .size = 60});
    EXPECT_EQ(model.padding(), 0);
    EXPECT_EQ(model.unknown(), 1);
    EXPECT_EQ(model.begin(), 2);
    EXPECT_EQ(model.end(), 3);
    EXPECT_LE(model.size(), 60);
    for (const std::string_view text : kTexts) EXPECT_EQ(model.decode(model.encode(text)), text);
    EXPECT_EQ(model.decode(std::vector<std::int32_t>{2, model.encode("cat")[0], 3}),
              model.decode(std::vector<std::int32_t>{model.encode("cat")[0]}));
    const SubwordModel again{std::string(model.bytes())};
    EXPECT_EQ(again.encode("a cat on a log"), model.encode("a cat on a log"));
    EXPECT_EQ(learned({.kind = kind, .size = 60}).bytes(), model.bytes()) << "learning repeats";
  }
  EXPECT_LT(learned({.size = 60}).encode("the cat").size(), 7u) << "words are pieces of several letters";
}

TEST(SubwordModel, MergesAnewWithMergesLeftOut) {
  const SubwordModel model = learned({.size = 60});
  const std::string text(kTexts[0]);
  const std::vector<std::int32_t> ids = model.encode(text);
  Rng rng(7);
  EXPECT_EQ(model.merged_anew(ids, 0, rng), ids);
  const std::vector<std::int32_t> characters = model.merged_anew(ids, 1, rng);
  EXPECT_EQ(std::ssize(characters), std::ssize(text) + 1) << "each character a piece, and the blank before the text";
  std::set<std::vector<std::int32_t>> ways;
  for (int i = 0; i < 20; ++i) {
    const std::vector<std::int32_t> anew = model.merged_anew(ids, .3, rng);
    EXPECT_EQ(model.decode(anew), text);
    ways.insert(anew);
  }
  EXPECT_GT(ways.size(), 5u);
  EXPECT_EQ(model.merged_anew(std::vector<std::int32_t>{model.begin(), model.unknown(), model.end()}, 1, rng),
            (std::vector<std::int32_t>{model.begin(), model.unknown(), model.end()}));
}

TEST(SubwordModel, KnowsWhatItDoesNotKnow) {
  const SubwordModel plain = learned({.size = 60}), bytes = learned({.size = 320, .byte_fallback = true});
  const std::vector<std::int32_t> ids = plain.encode("the \xE6\xBC\xA2 cat");
  EXPECT_EQ(std::ranges::count(ids, plain.unknown()), 1);
  EXPECT_EQ(std::ranges::count(bytes.encode("the \xE6\xBC\xA2 cat"), bytes.unknown()), 0);
  EXPECT_EQ(bytes.decode(bytes.encode("the \xE6\xBC\xA2 cat")), "the \xE6\xBC\xA2 cat");
}

TEST(SubwordModel, SaysWhatIsWrong) {
  const Scratch scratch;
  EXPECT_THAT(message_of([] { SubwordModel("nonsense", "some.model"); }), HasSubstr("some.model: is no model of sentencepiece"));
  EXPECT_THAT(message_of([] { SubwordModel(""); }), HasSubstr("is no model of sentencepiece"));
  EXPECT_THAT(message_of([&] { SubwordModel::read(scratch / "none.model"); }), HasSubstr("none.model"));
  EXPECT_THAT(message_of([] { SubwordModel::learned({}, [](std::string_view&) { return false; }); }),
              HasSubstr("there is no text to learn from"));
  EXPECT_THAT(message_of([] { learned({.size = 9}); }), HasSubstr("9 pieces cannot be learned from 4 texts"));
  const SubwordModel model = learned({.size = 60});
  EXPECT_THAT(message_of([&] { model.decode(std::vector<std::int32_t>{60}); }), HasSubstr("ids must be below"));
  // A piece that is a NUL character, for which the library below sentencepiece throws an exception of its own.
  std::string with_nul = learned({.kind = SubwordKind::unigram, .size = 60}).bytes();
  const std::size_t at = with_nul.find(std::string_view("\n\1g", 3));
  ASSERT_NE(at, std::string::npos);
  with_nul[at + 2] = '\0';
  EXPECT_THAT(message_of<DataError>([&] { SubwordModel(with_nul, "some.model"); }), HasSubstr("some.model: is no model of sentencepiece"));
}

}  // namespace
}  // namespace capstan::data
