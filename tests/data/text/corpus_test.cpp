#include "data/text/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/text/corpus_builder.h"
#include "data/text/sentences.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

Texts sentences_of(std::string_view text) {
  std::vector<std::string_view> found;
  split_sentences(text, found);
  return {found.begin(), found.end()};
}

TEST(Sentences, EndAtPunctuation) {
  EXPECT_THAT(sentences_of("One two. Three? Four! Five\u2026 Six"), ElementsAre("One two.", "Three?", "Four!", "Five\u2026", "Six"));
  EXPECT_THAT(sentences_of(" \"Good!\" said Holmes. \"Excellent!\" He rose. "),
              ElementsAre("\"Good!\" said Holmes.", "\"Excellent!\"", "He rose."));
  EXPECT_THAT(sentences_of("He came (late.) (Too late.) Then 14.5 went."),
              ElementsAre("He came (late.)", "(Too late.)", "Then 14.5 went."));
  EXPECT_THAT(sentences_of("\u201cYes.\u201d \u201cNo.\u201d"), ElementsAre("\u201cYes.\u201d", "\u201cNo.\u201d"));
  EXPECT_THAT(sentences_of("\u6211\u7231\u3002\u4f60\uff1f\u300d\u597d"),
              ElementsAre("\u6211\u7231\u3002", "\u4f60\uff1f\u300d", "\u597d"));
  EXPECT_THAT(sentences_of("Wait ... \u00c9mile. \u00e9t\u00e9. ok, .net"), ElementsAre("Wait ...", "\u00c9mile. \u00e9t\u00e9. ok, .net"));
}

TEST(Sentences, DoNotEndAtAbbreviations) {
  EXPECT_THAT(sentences_of("Mr. Sherlock Holmes met Dr. J. Mortimer, M.R.C.S. There."),
              ElementsAre("Mr. Sherlock Holmes met Dr. J. Mortimer, M.R.C.S. There."));
  EXPECT_THAT(sentences_of("It was I. He left."), ElementsAre("It was I.", "He left."));
  EXPECT_THAT(sentences_of("(Mr. X) came."), ElementsAre("(Mr. X) came."));
  EXPECT_THAT(sentences_of("Is it Mr.? Yes."), ElementsAre("Is it Mr.?", "Yes."));
}

TEST(Sentences, OfTokenisedText) {
  EXPECT_THAT(sentences_of("It is H. americanus . It grows . \" Yes . \" He left . \" No \" . End . . . Out ."),
              ElementsAre("It is H. americanus .", "It grows .", "\" Yes . \"", "He left .", "\" No \" .", "End . . .", "Out ."));
  EXPECT_THAT(sentences_of("at No . 1 in the list . 5 more"), ElementsAre("at No . 1 in the list . 5 more"));
}

TEST(Sentences, EndAtTheMarksOfOtherScripts) {
  // Danda, Arabic and Urdu, Armenian, Ethiopic, Khmer-like marks of Myanmar, double shads of Tibetan.
  for (const std::string mark : {"\u0964", "\u0965", "\u061f", "\u06d4", "\u0589", "\u1362", "\u104b", "\u0f0d", "\U000111c5", "\u203d"})
    EXPECT_THAT(sentences_of("ba" + mark + " Du" + mark), ElementsAre("ba" + mark, "Du" + mark)) << mark;
  EXPECT_THAT(sentences_of("ka\u0f0d \u0f0d ga\u0f0d"), ElementsAre("ka\u0f0d \u0f0d", "ga\u0f0d"));
  EXPECT_THAT(sentences_of("\u6211\uff0e\u7231 3\uff0e5"), ElementsAre("\u6211\uff0e", "\u7231 3\uff0e5"));
  // Georgian has capitals that no sentence begins with; a letter on its own is no word.
  EXPECT_THAT(sentences_of("\u10d0\u10d1. \u10d2\u10d3. \u10d4. \u10d5"), ElementsAre("\u10d0\u10d1.", "\u10d2\u10d3. \u10d4. \u10d5"));
  // No case at all: Arabic, Devanagari.
  EXPECT_THAT(sentences_of("\u0643\u062a\u0628. \u0642\u0631\u0623. \u0915. \u0916"),
              ElementsAre("\u0643\u062a\u0628.", "\u0642\u0631\u0623.", "\u0915.", "\u0916"));
}

TEST(Sentences, OfLowerCasedText) {
  std::vector<std::string_view> found;
  split_sentences("mr. holmes met j. watson. he left. \"yes!\" he said", found, /*lower_cased=*/true);
  EXPECT_THAT(found, ElementsAre("mr. holmes met j. watson.", "he left.", "\"yes!\"", "he said"));
  Capitals text;
  text.add("he came. \u00e9t\u00e9 \u10d0");
  EXPECT_TRUE(text.lower_cased());
  text.add("He");
  EXPECT_FALSE(text.lower_cased());
}

TEST(Sentences, OfOddText) {
  EXPECT_THAT(sentences_of(""), ElementsAre());
  EXPECT_THAT(sentences_of(" \t "), ElementsAre());
  EXPECT_THAT(sentences_of("..."), ElementsAre("..."));
  EXPECT_THAT(sentences_of("\xFF. \xFE"), ElementsAre("\xFF.", "\xFE"));
  EXPECT_EQ(sentences_of(std::string(1 << 20, '.')).size(), 1u);
  std::string many;
  for (int i = 0; i < 100000; ++i) many += "\" ' . ";
  EXPECT_GT(sentences_of(many).size(), 0u);
}

const Vocabulary& letters() {
  static const Vocabulary v = [] {
    Texts tokens = {"[UNK]", ".", "-", "<", ">", "=", "unk"};
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string("##") + c);
    return Vocabulary(tokens, "letters");
  }();
  return v;
}

/// "a b|c" for the documents: sentences by "|", documents by "/".
std::string shown(const Corpus& c) {
  std::string out;
  for (std::int64_t d = 0; d < c.documents(); ++d) {
    if (d > 0) out += "/";
    const auto first = c.document_starts()[static_cast<std::size_t>(d)], last = c.document_starts()[static_cast<std::size_t>(d) + 1];
    for (auto s = first; s < last; ++s) {
      if (s > first) out += "|";
      for (const auto id : c.sentence(s)) out += (out.empty() || out.back() == '|' || out.back() == '/' ? "" : " ") + letters().token(id);
    }
  }
  return out;
}

std::string built(TextForm form, const Texts& files) {
  const Scratch scratch;
  const Tokenizer tokenizer(letters());
  CorpusBuilder builder(scratch / "corpus", tokenizer, form);
  for (const auto& content : files) builder.add_file(scratch.write("text", content));
  builder.finish();
  return shown(Corpus(scratch / "corpus"));
}

TEST(CorpusBuilder, SentencesALine) {
  // A document goes on over the end of a file; lines without tokens are dropped; white space makes a line blank.
  EXPECT_EQ(built(TextForm::sentences, {"\xEF\xBB\xBF"
                                        "A b\r\nc. d.\r\n \t\u00a0\r\n\r\n\x01\r\ne",
                                        "f\n\x02\n\ng\n\n\n"}),
            "a b|c . d ./e|f/g");
}

TEST(CorpusBuilder, ParagraphsALine) { EXPECT_EQ(built(TextForm::paragraphs, {"A b. C d.\nE\n\nF"}), "a b .|c d .|e/f"); }

TEST(CorpusBuilder, Prose) {
  EXPECT_EQ(built(TextForm::prose, {"A b\nc. D\n e.\n\nF\n", "G.\n\n\n\nH"}), "a b c .|d e .|f/g .|h");
  // A paragraph of a megabyte is cut where sentences end, nothing is lost.
  std::string text, expected;
  for (int i = 0; i < 200000; ++i) {
    text += "A b.\n";
    expected += i == 0 ? "a b ." : "|a b .";
  }
  EXPECT_EQ(built(TextForm::prose, {text}), expected);
}

std::string built_with(const CorpusOptions& options, TextForm form, const std::string& content, std::int64_t* cut = nullptr) {
  const Scratch scratch;
  const Tokenizer tokenizer(letters());
  CorpusBuilder builder(scratch / "corpus", tokenizer, form, options);
  builder.add_file(scratch.write("text", content));
  const auto counts = builder.finish();
  if (cut != nullptr) *cut = counts.cut;
  return shown(Corpus(scratch / "corpus"));
}

TEST(CorpusBuilder, JudgesByTheFileWhetherItIsLowerCased) {
  EXPECT_EQ(built(TextForm::prose, {"ab. cd\n\nef. gh\n"}), "a ##b .|c ##d|e ##f .|g ##h");
  EXPECT_EQ(built(TextForm::prose, {"Ab. cd\n\nef. gh\n", "ab. cd"}), "a ##b . c ##d|e ##f . g ##h/a ##b .|c ##d");
}

TEST(CorpusBuilder, CutsLongSentences) {
  std::int64_t cut = 0;
  // Behind punctuation in the second half, else before a word; a word of many pieces is cut where it must be.
  EXPECT_EQ(built_with({.longest_sentence = 4}, TextForm::paragraphs, "a b c. d e f g h i\nab cd e\nabcdef g\n", &cut),
            "a b c .|d e f g|h i|a ##b c ##d|e|a ##b ##c ##d|##e ##f g");
  EXPECT_EQ(cut, 3);
  EXPECT_EQ(built_with({.longest_sentence = 4}, TextForm::paragraphs, "a b .d e f\na b c de f\n", &cut), "a b .|d e f|a b c|d ##e f");
  EXPECT_EQ(cut, 2);
  EXPECT_EQ(built_with({}, TextForm::paragraphs, "a b c d e f g h i", &cut), "a b c d e f g h i");
  EXPECT_EQ(cut, 0);
}

TEST(CorpusBuilder, MarksTheWordsOfASegmentation) {
  const Vocabulary vocabulary({"[UNK]", "a", "\u6211", "\u4eec", "\u7231", "\u3002"});
  const Tokenizer tokenizer(vocabulary);
  const auto marked = [&](const std::string& line, bool mark) {
    const Scratch scratch;
    CorpusBuilder builder(scratch / "corpus", tokenizer, TextForm::sentences, {.mark_words = mark});
    builder.add_line(line);
    builder.finish();
    std::string out;
    const Corpus corpus(scratch / "corpus");
    for (const std::int32_t token : corpus.tokens()) out += (id_of(token) == token ? " " : "+") + vocabulary.token(id_of(token));
    return out;
  };
  EXPECT_EQ(marked("\u6211\u4eec \u7231 a\u6211\u4eec\u3002", true), " \u6211+\u4eec \u7231 a \u6211+\u4eec \u3002");
  EXPECT_EQ(marked("\u6211\u4eec \u7231 a\u6211\u4eec\u3002", false), " \u6211 \u4eec \u7231 a \u6211 \u4eec \u3002");
  EXPECT_EQ(marked("\u6211\u4eec\u7231\u6211", true), " \u6211 \u4eec \u7231 \u6211") << "no blank parts words";
  EXPECT_EQ(marked("\u6211\u4eec\u7231\u6211\u4eec \u7231\u6211\u7231\u4eec", true),
            " \u6211 \u4eec \u7231 \u6211 \u4eec \u7231 \u6211 \u7231 \u4eec")
      << "runs too long for words";
}

TEST(CorpusBuilder, WikiText) {
  // Headings stand between blank lines: other lines of their form are text.
  EXPECT_EQ(built(TextForm::wikitext, {" \n = A = \n \n B\n = c = \n D \n \n = e = \n F\n \n = G = \n"}), "b|= c =|d|= e =|f");
  EXPECT_EQ(built(TextForm::wikitext, {" \n = T = \n \n A <unk> b @-@ c . D . \n \n = = S = = \n \n E \n \n = U V = \n \n F = g \n"}),
            "a [UNK] b - c .|d .|e/f = g");
}

TEST(CorpusBuilder, EndsADocumentWhereTextIsMissing) {
  for (const TextForm form : {TextForm::sentences, TextForm::paragraphs, TextForm::prose, TextForm::wikitext})
    for (const bool cut : {false, true}) {
      const Scratch scratch;
      const Tokenizer tokenizer(letters());
      CorpusBuilder builder(scratch / "corpus", tokenizer, form);
      builder.add_line("\f");
      builder.end_file();
      EXPECT_EQ(builder.sentences(), 0);
      builder.add_line("a b");
      cut ? builder.end_document() : builder.end_file();
      EXPECT_EQ(builder.sentences(), 1);
      builder.add_line("c");
      builder.finish();
      const bool goes_on = !cut && (form == TextForm::sentences || form == TextForm::paragraphs);
      EXPECT_EQ(shown(Corpus(scratch / "corpus")), goes_on ? "a b|c" : "a b/c") << static_cast<int>(form);
    }
}

TEST(CorpusBuilder, CountsAndRefusesEmptyText) {
  const Scratch scratch;
  const Tokenizer tokenizer(letters());
  CorpusBuilder builder(scratch / "corpus", tokenizer, TextForm::sentences);
  builder.add_line("a b \u00df");
  builder.add_line("");
  builder.add_line("c");
  const auto counts = builder.finish();
  EXPECT_EQ(counts.documents, 2);
  EXPECT_EQ(counts.sentences, 2);
  EXPECT_EQ(counts.tokens, 4);
  EXPECT_EQ(counts.unknown, 1);

  CorpusBuilder empty(scratch / "empty", tokenizer, TextForm::sentences);
  empty.add_file(scratch.write("text", " \n\n"));
  EXPECT_THROW(empty.finish(), DataError);
  EXPECT_FALSE(std::filesystem::exists(scratch / "empty"));
}

template <class F>
std::string data_error(F&& f) {
  try {
    f();
  } catch (const DataError& e) {
    return e.what();
  }
  return "nothing thrown";
}

TEST(Corpus, LeavesOneFileAndRemembersItsVocabulary) {
  const Scratch scratch;
  {
    CorpusWriter writer(scratch / "corpus", letters());
    writer.add_sentence(std::vector<std::int32_t>{1, 2, 3});
    EXPECT_EQ(data_error([&] { writer.add_sentence(std::vector<std::int32_t>{59}); }),
              scratch / "corpus" + ": token id 59 is outside the vocabulary of 59 tokens");
    writer.finish();
  }
  { CorpusWriter abandoned(scratch / "other", letters()); }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path()), {}), 1);
  const Corpus corpus(scratch / "corpus");
  EXPECT_NO_THROW(corpus.require_vocabulary(letters()));
  EXPECT_THAT(data_error([&] { corpus.require_vocabulary(Vocabulary({"[UNK]"})); }), HasSubstr("another vocabulary: 59 tokens"));
  corpus.note_visit();
  EXPECT_THAT(corpus.sentence(0), ElementsAre(1, 2, 3));
}

TEST(Corpus, RefusesDamage) {
  const Scratch scratch;
  CorpusWriter writer(scratch / "corpus", letters());
  for (std::int32_t i = 0; i < 7; ++i) {
    writer.add_sentence(std::vector<std::int32_t>{i, i + 1, i + 2});
    if (i == 3) writer.end_document();
  }
  writer.finish();
  const auto good = read_file(scratch / "corpus");
  ASSERT_EQ(Corpus(scratch / "corpus").documents(), 2);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{4};
    write_file_durably(scratch / "bad", bad);
    EXPECT_THROW(Corpus(scratch / "bad"), DataError) << "byte " << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{64}, good.size() - 1}) {
    write_file_durably(scratch / "bad", std::span(good).first(size));
    EXPECT_THROW(Corpus(scratch / "bad"), DataError) << size;
  }
  EXPECT_THROW(Corpus(scratch / "none"), IoError);
  EXPECT_THROW(Corpus(scratch.path()), IoError);
}

}  // namespace
}  // namespace capstan::data
