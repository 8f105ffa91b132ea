// Contexts as words, pieces and windows, and answers as they were written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "recipes/tasks/span_extraction/document.h"
#include "recipes/tasks/span_extraction/final_text.h"

namespace capstan::span_extraction {
namespace {

using ::testing::ElementsAre;

std::string shown(const std::vector<Span>& windows) {
  std::string out;
  for (const Span& w : windows) out += join_text("(", w.first, ",", w.length(), ")");
  return out;
}

std::string owners(const std::vector<Span>& windows, std::int64_t pieces) {
  std::string out;
  for (std::int64_t p = 0; p < pieces; ++p) out += std::to_string(owner(windows, p));
  return out;
}

TEST(SpanWindows, CoverADocumentAndShareIt) {
  struct Case {
    std::int64_t pieces, capacity, stride;
    const char *windows, *owners;
  };
  for (const Case& c : {Case{10, 4, 2, "(0,4)(2,4)(4,4)(6,4)", "0001122333"},
                        {11, 5, 3, "(0,5)(3,5)(6,5)", "00001112222"},
                        {7, 10, 4, "(0,7)", "0000000"},
                        {12, 6, 2, "(0,6)(2,6)(4,6)(6,6)", "000011223333"},
                        {5, 2, 9, "(0,2)(2,2)(4,1)", "00112"},
                        {0, 4, 2, "", ""}}) {
    const std::vector<Span> found = windows(c.pieces, c.capacity, c.stride);
    EXPECT_EQ(shown(found), c.windows);
    EXPECT_EQ(owners(found, c.pieces), c.owners);
  }
}

TEST(SpanDocument, MapsWordsPiecesAndCharacters) {
  const data::Vocabulary vocabulary({"[UNK]", "a", "b", "##c", "é"});
  const data::Tokenizer tokenizer(vocabulary, {.lower_case = false});
  const Document d(" a\t\u202f bc\u00a0é\u200b  \u200b c", tokenizer);
  ASSERT_EQ(d.words(), 4) << "a no-break space parts pieces, not words";
  EXPECT_EQ(d.joined({0, 3}), "a bc\u00a0é\u200b \u200b c");
  EXPECT_THAT(d.ids(), ElementsAre(1, 2, 3, 4, 0));
  EXPECT_EQ(d.word_of(3), 1);
  EXPECT_EQ(d.word_of(4), 3);
  EXPECT_EQ(d.pieces_of({1, 1}), (Span{1, 3}));
  EXPECT_EQ(d.pieces_of({2, 2}).length(), 0) << "a word of nothing that is seen";
  EXPECT_EQ(d.pieces_of({0, 3}), (Span{0, 4}));
  std::string words;
  for (std::int64_t c = 0; c < 16; ++c) words += join_text(d.word_at(c), " ");
  EXPECT_EQ(words, "-1 0 0 0 0 1 1 1 1 1 1 1 2 2 3 3 ");
  EXPECT_EQ(d.offset({1, 3}, 0), 5);
  EXPECT_EQ(d.offset({1, 3}, 3), 8);
  EXPECT_EQ(d.offset({1, 3}, 8), 14) << "behind a double blank";
  EXPECT_EQ(Document("", tokenizer).pieces(), 0);
}

TEST(SpanAnswer, IsTightenedToItsPieces) {
  const data::Vocabulary vocabulary({"[UNK]", "the", "leader", "was", "john", "smith", "(", "1895", "-", "1943", ")", ".", "lead"});
  const data::Tokenizer tokenizer(vocabulary);
  const std::vector<std::int32_t> pieces = tokenizer.encode("the leader was john smith ( 1895 - 1943 ) .");
  const auto to = [&](Span from, std::string_view answer) { return tightened(pieces, from, tokenizer.encode(answer)); };
  EXPECT_EQ(to({5, 9}, "1895"), (Span{6, 6}));
  EXPECT_EQ(to({3, 4}, "Smith"), (Span{4, 4}));
  EXPECT_EQ(to({0, 1}, "Lead"), (Span{0, 1})) << "not there";
  EXPECT_EQ(to({0, 4}, ""), (Span{0, 4}));
  EXPECT_EQ(to({6, 6}, "1895 - 1943"), (Span{6, 6})) << "longer than its words";

  const Document d("the leader was John Smith (1895-1943).", tokenizer);
  EXPECT_EQ(answer_pieces(d, {"1895", 27}, tokenizer), (Span{6, 6}));
  EXPECT_EQ(answer_pieces(d, {"John\nSmith", 15}, tokenizer), (Span{3, 4})) << "white space does not count";
  EXPECT_FALSE(answer_pieces(d, {"1943", 15}, tokenizer).has_value()) << "somewhere else";
}

TEST(SpanFinalText, GoesBackToTheTextAsItWasWritten) {
  struct Case {
    const char *prediction, *original;
    bool lower_case;
    const char* expected;
    std::int64_t begin;
  };
  for (const Case& c : {Case{"steve smith", "Steve Smith's", true, "Steve Smith", 0},
                        {"1895", "(1895-1943).", true, "1895", 1},
                        {"cafe", "the Café.", true, "Café", 4},
                        {"smith", "Steve Smithson", true, "Smith", 6},
                        {"x", "abc", true, "abc", 0},
                        {"Steve", "STEVE", false, "STEVE", 0},
                        {"new - york", "New-York,", true, "New-York", 0},
                        {"naive", "naïve;", true, "naïve", 0},
                        {"cafe", "(cafe\u0301)", true, "(cafe\u0301)", 0},
                        {"", "abc", true, "abc", 0}}) {
    const data::BasicTokenizer basic({.lower_case = c.lower_case});
    const FinalText found = final_text(c.prediction, c.original, basic);
    EXPECT_EQ(found.text, c.expected) << c.prediction;
    EXPECT_EQ(found.begin, c.begin) << c.prediction;
  }
  EXPECT_EQ(final_text("cafe", "the Café.", data::BasicTokenizer()).end, 8) << "in code points";

  const data::Vocabulary vocabulary({"[UNK]", "new", "##er", "##", "york", "##s"});
  EXPECT_EQ(text_of_pieces(vocabulary, std::vector<std::int32_t>{2, 1, 2, 3, 4, 0}), "er newer york [UNK]");
}

}  // namespace
}  // namespace capstan::span_extraction
