#include "data/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using namespace std::string_view_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out.append(out.empty() ? "" : " ").append(w);
  return out;
}

// The vocabulary and the cases were computed with the original program.
const Vocabulary& v1() {
  static const Vocabulary v(words_of(
      "[PAD] [UNK] [CLS] [SEP] [MASK] the a un ##aff ##able want ##want ##ed wa runn ##ing run , . ! ? ' \" - ( ) / : ; _ ~ $ # "
      "@ ##s ##ly hello world bert token ##izer ##ize cafe naive resume istanbul zurich strasse straße ab abc ##c ##d ##bc 2023 "
      "20 ##23 3 14 ##9 我 爱 北 京 天 安 门 \u8c48 。 ， ！ ？ 「 」 — … o'clock don ##t t i ⌘ 😀 ##😀 \ud55c \uad6d ##\uad6d οδος \ufb01 "
      "##ne 漢 字 ｆｕｌｌ ° km ½ x ##x xx İ e ##e \u00e9 Caf\u00e9 "));
  return v;
}

struct Case {
  std::string_view text;
  std::string basic, lower, cased;
};

const std::vector<Case> kCases = {
    {"UNwant\u00e9d,running"sv, "unwanted , running", "un ##want ##ed , runn ##ing", "[UNK] , runn ##ing"},
    {" \tHello!how  \n Are yoU?  "sv, "hello ! how are you ?", "hello ! [UNK] [UNK] [UNK] ?", "[UNK] ! [UNK] [UNK] [UNK] ?"},
    {"unaffable"sv, "unaffable", "un ##aff ##able", "un ##aff ##able"},
    {"unaffableX"sv, "unaffablex", "un ##aff ##able ##x", "[UNK]"},
    {"\u6211\u7231\u5317\u4eac\u5929\u5b89\u95e8"sv, "我 爱 北 京 天 安 门", "我 爱 北 京 天 安 门", "我 爱 北 京 天 安 门"},
    {"I\u7231bert!\u5317\u4eac"sv, "i 爱 bert ! 北 京", "i 爱 bert ! 北 京", "[UNK] 爱 bert ! 北 京"},
    {"\u5317\u4eac\uff0c\u5929\u5b89\u95e8\u3002\u300c\u6211\u300d\uff01\uff1f"sv, "北 京 ， 天 安 门 。 「 我 」 ！ ？",
     "北 京 ， 天 安 门 。 「 我 」 ！ ？", "北 京 ， 天 安 门 。 「 我 」 ！ ？"},
    {"caf\u00e9 CAFE\u0301 na\u00efve r\u00e9sum\u00e9"sv, "cafe cafe naive resume", "cafe cafe naive resume", "[UNK] [UNK] [UNK] [UNK]"},
    {"\u0130stanbul Z\u00fcrich"sv, "istanbul zurich", "istanbul zurich", "[UNK] [UNK]"},
    {"Stra\u00dfe STRASSE"sv, "straße strasse", "straße strasse", "[UNK] [UNK]"},
    {"hel\000lo\ufffd wor\007ld"sv, "hello world", "hello world", "hello world"},
    {"hel\u200blo wor\u00adld \ufeffbert"sv, "hello world bert", "hello world bert", "hello world bert"},
    {"hello\u00a0world\u3000bert"sv, "hello world bert", "hello world bert", "hello world bert"},
    {"hello\u2028world\u2029bert"sv, "hello world bert", "hello world bert", "hello world bert"},
    {"hello\u0085world"sv, "helloworld", "[UNK]", "[UNK]"},
    {"$20-2023_~#@/;:(\"x\")"sv, "$ 20 - 2023 _ ~ # @ / ; : ( \" x \" )", "$ 20 - 2023 _ ~ # @ / ; : ( \" x \" )",
     "$ 20 - 2023 _ ~ # @ / ; : ( \" x \" )"},
    {"don't o'clock"sv, "don ' t o ' clock", "don ' t [UNK] ' [UNK]", "don ' t [UNK] ' [UNK]"},
    {"don\u2019t\u2014a\u2026"sv, "don ’ t — a …", "don [UNK] t — a …", "don [UNK] t — a …"},
    {"3.14 20239 14%"sv, "3 . 14 20239 14 %", "3 . 14 2023 ##9 14 [UNK]", "3 . 14 2023 ##9 14 [UNK]"},
    {"hello\U0001f600world \U0001f600 \u2318"sv, "hello😀world 😀 ⌘", "[UNK] 😀 ⌘", "[UNK] 😀 ⌘"},
    {"\U0001f468\u200d\U0001f469\u200d\U0001f467"sv, "👨👩👧", "[UNK]", "[UNK]"},
    {"\ud55c\uad6d"sv, "\u1112\u1161\u11ab\u1100\u116e\u11a8", "[UNK]", "한 ##국"},
    {"\u039f\u0394\u039f\u03a3 \ufb01ne \uff26\uff35\uff2c\uff2c"sv, "οδος ﬁne ｆｕｌｌ", "οδος ﬁ ##ne ｆｕｌｌ", "[UNK] ﬁ ##ne [UNK]"},
    {"\uf900 \u6f22\u5b57"sv, "\u8c48 漢 字", "\u8c48 漢 字", "[UNK] 漢 字"},
    {"e\u0301\u0302\u0323x"sv, "ex", "e ##x", "[UNK]"},
    {"[CLS] [MASK]"sv, "[ cls ] [ mask ]", "[UNK] [UNK] [UNK] [UNK] [UNK] [UNK]", "[UNK] [UNK] [UNK] [UNK] [UNK] [UNK]"},
    {""sv, "", "", ""},
    {"   \n\t "sv, "", "", ""},
    {"\u20ac5 \u00bd 5\u00b0 km"sv, "€5 ½ 5° km", "[UNK] ½ [UNK] km", "[UNK] ½ [UNK] km"},
    {"ab\001\002c abcd abd"sv, "abc abcd abd", "abc abc ##d ab ##d", "abc abc ##d ab ##d"},
    {"\u0e01\u0e33 \u0915\u0930\u093f"sv, "กำ करि", "[UNK] [UNK]", "[UNK] [UNK]"},
};

TEST(Tokenizer, GivesThePiecesOfTheOriginal) {
  const BasicTokenizer basic;
  const Tokenizer lower(v1()), cased(v1(), {.lower_case = false});
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(joined(basic(c.text)), c.basic);
    EXPECT_EQ(joined(lower.pieces(c.text)), c.lower);
    EXPECT_EQ(joined(cased.pieces(c.text)), c.cased);
  }
}

TEST(Tokenizer, WordsBeyondTheLimitAreUnknown) {
  const auto long_word = [](std::size_t n) { return std::string(n, 'x'); };
  for (const std::size_t limit : {100U, 200U}) {
    const Tokenizer tokenizer(v1(), {.max_word_length = limit});
    auto expected = std::vector<std::string>(limit - 1, "##x");
    expected[0] = "xx";
    EXPECT_EQ(tokenizer.pieces(long_word(limit)), expected);
    EXPECT_THAT(tokenizer.pieces(long_word(limit + 1)), ElementsAre("[UNK]"));
  }
  EXPECT_EQ(Tokenizer(v1()).pieces(long_word(200)).size(), 199u);
  EXPECT_EQ(Tokenizer(v1(), {.variant = TokenizerVariant::hf_slow}).pieces(long_word(200)).size(), 1u);
  // The limit is in characters, not bytes.
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "\U0001F600";
  EXPECT_EQ(Tokenizer(v1()).pieces(wide).size(), 200u);
  EXPECT_THAT(Tokenizer(v1()).pieces(wide + "x"), ElementsAre("[UNK]"));
}

TEST(Tokenizer, DropsInvalidBytes) {
  const Tokenizer tokenizer(v1());
  EXPECT_THAT(tokenizer.pieces("hel\xFFlo wor\xC3\x28ld"sv), ElementsAre("hello", "[UNK]", "(", "[UNK]"));
  EXPECT_THAT(tokenizer.pieces("\xF0\x9F\x98"sv), ElementsAre());
  EXPECT_THAT(tokenizer.pieces("\xED\xA0\x80hello\xC0\x80"sv), ElementsAre("hello"));
  EXPECT_THAT(tokenizer.pieces("ab\xE6\x88"sv), ElementsAre("ab"));
}

TEST(Tokenizer, AnyBytesGiveValidWords) {
  std::uint32_t state = 1;
  for (int n = 0; n < 2000; ++n) {
    std::string text(50, ' ');
    for (char& c : text) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    for (const bool lower_case : {true, false})
      for (const std::string& word : BasicTokenizer({.lower_case = lower_case})(text)) {
        ASSERT_FALSE(word.empty());
        ASSERT_THAT(word, testing::Not(testing::ContainsRegex("[ \t\n\r]")));
      }
  }
}

TEST(Tokenizer, TakesLongLinesWithoutSpaces) {
  const Tokenizer tokenizer(v1());
  EXPECT_THAT(tokenizer.pieces(std::string(1 << 20, 'x')), ElementsAre("[UNK]"));
  EXPECT_EQ(tokenizer.pieces(std::string(1 << 20, '!')).size(), std::size_t{1} << 20);
  std::string text;
  for (int i = 0; i < 1 << 18; ++i) text += "\u6211";
  EXPECT_EQ(tokenizer.pieces(text).size(), std::size_t{1} << 18);
  text = "x";
  for (int i = 0; i < 1 << 18; ++i) text += "\u0301";
  EXPECT_THAT(tokenizer.pieces(text), ElementsAre("x"));
}

TEST(Tokenizer, ProtectsTokensOnRequest) {
  const Tokenizer plain(v1()), keeps(v1(), {.protected_tokens = {"[CLS]", "[MASK]"}});
  EXPECT_THAT(plain.pieces("[MASK]"), ElementsAre("[UNK]", "[UNK]", "[UNK]"));
  EXPECT_THAT(keeps.pieces("[CLS] hello[MASK]world [mask]"), ElementsAre("[CLS]", "hello", "[MASK]", "world", "[UNK]", "[UNK]", "[UNK]"));
  EXPECT_THAT(keeps.pieces("[MASK][MASK]"), ElementsAre("[MASK]", "[MASK]"));
  // The longest wins where two begin at one place.
  EXPECT_THAT(Tokenizer(v1(), {.protected_tokens = {"a", "abc"}}).pieces("xxabcax"), ElementsAre("xx", "abc", "a", "x"));
}

TEST(Tokenizer, VariantsDifferWhereTheProgramsDo) {
  const auto basic = [](TokenizerOptions options, std::string_view text) { return joined(BasicTokenizer(std::move(options))(text)); };
  using enum TokenizerVariant;
  // Private use stays with google only, an unassigned character not with hf_slow.
  EXPECT_EQ(basic({}, "a\uE000b\u0378"), "a\uE000b\u0378");
  EXPECT_EQ(basic({.variant = hf_slow}, "a\uE000b\u0378"), "ab");
  EXPECT_EQ(basic({.variant = hf_fast}, "a\uE000b\u0378"), "ab\u0378");
  // Composition, where accents stay.
  EXPECT_EQ(basic({.lower_case = false}, "CAFE\u0301"), "CAFE\u0301");
  EXPECT_EQ(basic({.lower_case = false, .variant = hf_slow}, "CAFE\u0301"), "CAF\u00c9");
  EXPECT_EQ(basic({.lower_case = false, .variant = hf_fast}, "CAFE\u0301"), "CAFE\u0301");
  EXPECT_EQ(basic({.variant = hf_slow, .strip_accents = false}, "CAFE\u0301"), "caf\u00e9");
  EXPECT_EQ(basic({.lower_case = false, .strip_accents = true}, "CAF\u00c9"), "CAFE");
  // Final sigma.
  EXPECT_EQ(basic({}, "\u039f\u0394\u039f\u03a3"), "\u03bf\u03b4\u03bf\u03c2");
  EXPECT_EQ(basic({.variant = hf_fast}, "\u039f\u0394\u039f\u03a3"), "\u03bf\u03b4\u03bf\u03c3");
  // Ideographs.
  EXPECT_EQ(basic({}, "a\U0002b820b\U0002b920c"), "a \U0002b820 b \U0002b920 c");
  EXPECT_EQ(basic({.variant = hf_fast}, "a\U0002b820b\U0002b920c"), "a\U0002b820b \U0002b920 c");
  EXPECT_EQ(basic({.split_ideographs = false}, "a\u6211b"), "a\u6211b");
  // Neither kana nor iteration marks nor Hangul are ideographs.
  EXPECT_EQ(basic({.lower_case = false}, "\u6211\u3042\u3005\u3007\uac00"), "\u6211 \u3042\u3005\u3007\uac00");
}

TEST(Vocabulary, ReadsLinesAsTheOriginalDoes) {
  const Scratch scratch;
  const auto path = scratch.write("vocab.txt", "\xEF\xBB\xBF[UNK]\r\n a \n\nb\nb\n\u3000c\u00a0\n##d");
  const auto v = Vocabulary::load(path);
  EXPECT_EQ(v.size(), 7);
  EXPECT_EQ(v.id("[UNK]"), 0);
  EXPECT_EQ(v.id("a"), 1);
  EXPECT_EQ(v.token(2), "");
  EXPECT_EQ(v.id("b"), 4);  // the later of two
  EXPECT_EQ(v.id("c"), 5);
  EXPECT_EQ(v.id("##d"), 6);
  EXPECT_EQ(v.find(" a "), -1);
  EXPECT_THAT(v.keys(), ElementsAre(0, 1, 2, 4, 5, 6));
  EXPECT_EQ(Vocabulary::load(path, Vocabulary::Lines::kept_spaces).id(" a "), 1);
  EXPECT_THAT(Tokenizer(v).pieces("ad b"), ElementsAre("a", "##d", "b"));

  v.save(scratch / "copy.txt");
  EXPECT_EQ(Vocabulary::load(scratch / "copy.txt").id("##d"), 6);
}

TEST(Vocabulary, SaysWhatIsWrong) {
  const Scratch scratch;
  const auto bad = scratch.write("bad.txt", "a\nb\xFF\n"), empty = scratch.write("empty.txt", "");
  EXPECT_EQ(message_of<DataError>([&] { Vocabulary::load(bad); }), bad + ":2: found bytes that are not UTF-8, expected a token");
  EXPECT_EQ(message_of<DataError>([&] { Vocabulary::load(empty); }),
            empty + ": found an empty file, expected a vocabulary of one token a line");
  const Vocabulary v({"a", "b"}, "vocab.txt");
  EXPECT_EQ(message_of<DataError>([&] { v.id("c"); }), "vocab.txt: the vocabulary of 2 tokens has no 'c'");
  EXPECT_EQ(message_of<DataError>([&] { v.token(2); }), "vocab.txt: token id 2 is outside the vocabulary of 2 tokens");
  EXPECT_EQ(message_of<DataError>([&] { Tokenizer{v}; }), "vocab.txt: the vocabulary of 2 tokens has no '[UNK]'");
  EXPECT_THAT(message_of<IoError>([&] { Vocabulary::load(scratch / "none.txt"); }), HasSubstr("none.txt"));
  const auto returns = scratch.write("returns.txt", "a\nb\r\r\n");
  EXPECT_EQ(message_of<DataError>([&] { Vocabulary::load(returns, Vocabulary::Lines::kept_spaces); }),
            returns + ":2: found a carriage return in a token, expected lines that end with LF or CRLF");
  EXPECT_EQ(Vocabulary::load(returns).id("b"), 1);  // the white space at its end does not belong to the token
}

TEST(Vocabulary, SavesNothingThatItWouldNotReadBack) {
  const Scratch scratch;
  const auto refused = [&](std::vector<std::string> tokens) {
    return message_of<DataError>([&] { Vocabulary(std::move(tokens), "tokenizer.json").save(scratch / "vocab.txt"); });
  };
  const std::string cannot = "tokenizer.json: a file of a token a line cannot hold token ";
  EXPECT_EQ(refused({"a", "b\r"}), cannot + R"(1, "b\r")");
  EXPECT_EQ(refused({"a\nb"}), cannot + R"(0, "a\nb")");
  EXPECT_THAT(refused({"\xEF\xBB\xBF"
                       "a"}),
              StartsWith(cannot + "0"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "vocab.txt"));
}

TEST(Vocabulary, FindsLongTokens) {
  // Longer than the prefixes whose hashes the search keeps.
  const std::string word(180, 'q');
  const Vocabulary v({"[UNK]", word, "##" + word.substr(20)});
  EXPECT_EQ(Tokenizer(v).encode(word), std::vector<std::int32_t>{1});
  EXPECT_EQ(Tokenizer(v, {.max_word_length = 400}).encode(word + word.substr(20)), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(Tokenizer(v).encode("qq"), std::vector<std::int32_t>{0});
}

}  // namespace
}  // namespace capstan::data
