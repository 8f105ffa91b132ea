#include "data/text/unicode.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <vector>

#include "data/text/python_random.h"

namespace capstan::data::unicode {
namespace {

using namespace std::string_view_literals;

std::uint32_t add_words(std::uint32_t crc, std::u32string_view words) {
  std::string bytes;
  for (const char32_t w : words)
    for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(static_cast<unsigned char>(w >> shift));
  return static_cast<std::uint32_t>(::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

// The checksums are printed by make_unicode_tables.py --digests, which computes them from Python's database.

TEST(Unicode, EveryCodePointEqualsThePythonDatabase) {
  std::uint32_t crc = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const std::u32string one(1, c);
    crc = add_words(crc, std::u32string{c, classes(c), combining_class(c)} + lower(one) + nfd(one) + nfc(one));
  }
  EXPECT_EQ(crc, 861649250u);
  std::string alphanumeric;
  for (char32_t c = 0; c < 0x110000; ++c) alphanumeric += is_alphanumeric(c) ? '\1' : '\0';
  EXPECT_EQ(::crc32(0, reinterpret_cast<const Bytef*>(alphanumeric.data()), static_cast<uInt>(alphanumeric.size())), 2887218927u);
  std::string number;
  for (char32_t c = 0; c < 0x110000; ++c) number += is_number(c) ? '\1' : '\0';
  EXPECT_EQ(::crc32(0, reinterpret_cast<const Bytef*>(number.data()), static_cast<uInt>(number.size())), 3422169571u);
}

TEST(Unicode, StringsWhoseCharactersInteractEqualPython) {
  std::vector<char32_t> pool;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const bool syllable = c >= 0xAC00 && c <= 0xD7A3;
    if (combining_class(c) != 0 || (!syllable && nfd(std::u32string(1, c)) != std::u32string(1, c))) pool.push_back(c);
  }
  for (char32_t c = 0x1100; c < 0x1200; ++c) pool.push_back(c);
  for (char32_t i = 0; i < 400; ++i) pool.push_back(0xAC00 + 28 * i);
  for (char32_t i = 0; i < 300; ++i) pool.push_back(0xAC01 + 31 * i);
  pool.insert(pool.end(), 1000, 0x3A3);
  for (int twice = 0; twice < 2; ++twice)
    for (char32_t c = 0x20; c < 0x180; ++c) pool.push_back(c);
  for (int i = 0; i < 20; ++i) pool.insert(pool.end(), {0x2019, 0xB7, 0x2B0, 0x345, 0x10A0, 0x1F88, 0x130});
  ASSERT_EQ(pool.size(), 5769u);

  PythonRandom random(2022);
  std::uint32_t crc = 0;
  for (int n = 0; n < 100000; ++n) {
    std::u32string text(static_cast<std::size_t>(random.randint(1, 8)), U' ');
    for (char32_t& c : text) c = pool[random.below(pool.size())];
    for (const auto& form : {lower(text), nfd(text), nfc(text)}) crc = add_words(crc, form + U"\n");
  }
  EXPECT_EQ(crc, 3162428718u);
}

TEST(Unicode, LowerCaseLooksAtTheContextOfSigma) {
  EXPECT_EQ(lower(U"ΟΔΟΣ"), U"οδος");
  EXPECT_EQ(lower(U"ΣΑΣ Σ"), U"σας σ");
  EXPECT_EQ(lower(U"ΑΣ'Σ.Σ"), U"ασ'σ.ς");  // apostrophe and full stop are case-ignorable: what follows them decides
  EXPECT_EQ(lower(U"ΑΣ' ΑΣ."), U"ας' ας.");
  EXPECT_EQ(lower(U"\u0130"), U"i\u0307");
  EXPECT_EQ(lower_each(U"ΟΔΟΣ\u0130"), U"οδοσi\u0307");
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(nfd(U"\u1E69"), U"s\u0323\u0307");
  EXPECT_EQ(nfd(U"e\u0301\u0302\u0323"), U"e\u0323\u0301\u0302");
  EXPECT_EQ(nfd(U"\uD55C\uAD6D"), U"\u1112\u1161\u11AB\u1100\u116E\u11A8");
  EXPECT_EQ(nfc(U"\u1112\u1161\u11AB\u1100\u116E\u11A8"), U"\uD55C\uAD6D");
  EXPECT_EQ(nfc(U"s\u0307\u0323"), U"\u1E69");
  EXPECT_EQ(nfc(U"\u0958"), U"\u0915\u093C");  // excluded from composition
  EXPECT_EQ(nfc(U""), U"");
}

TEST(Unicode, SortsLongRunsOfMarksInReasonableTime) {
  std::u32string text = U"a";
  for (int i = 0; i < 500000; ++i) text += i % 2 == 0 ? U'\u0301' : U'\u0323';
  const auto sorted = nfd(text);
  EXPECT_EQ(sorted[1], U'\u0323');
  EXPECT_EQ(sorted.back(), U'\u0301');
  EXPECT_EQ(sorted.size(), text.size());
}

TEST(Unicode, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(to_utf32("a\xFFz"sv), U"a\uFFFDz");
  EXPECT_EQ(to_utf32("\xC0\xAF"sv), U"\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(to_utf32("\xED\xA0\x80"sv), U"\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(to_utf32("\xF4\x90\x80\x80"sv), U"\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(to_utf32("\xE4\xB8"sv), U"\uFFFD");  // cut off
  EXPECT_EQ(to_utf32("\xE4\xB8z"sv), U"\uFFFDz");
  EXPECT_EQ(to_utf32("\x80z"sv), U"\uFFFDz");
  EXPECT_EQ(to_utf32("\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA9"sv), U"\U0001F600\u20AC\u00E9");
  EXPECT_FALSE(is_valid_utf8("\xC3"sv));
  EXPECT_FALSE(is_valid_utf8("a\xEF\xBF\xBDz\xFF"sv));
  EXPECT_TRUE(is_valid_utf8("a\xEF\xBF\xBDz"sv));
}

TEST(Unicode, Utf8RoundTrips) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    std::size_t at = 0;
    ASSERT_EQ(decode(text, at), c);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(count_code_points(text), 1u);
  }
}

TEST(Unicode, StripsWhatPythonStrips) {
  EXPECT_EQ(strip(" \t\r\n a b\u00A0\u2028\u0085\x1C"), "a b");
  EXPECT_EQ(strip("\u3000"), "");
  EXPECT_EQ(strip("\u200Ba\u200B"), "\u200Ba\u200B");
  EXPECT_EQ(strip("\xA0"sv), "\xA0"sv);  // invalid on its own
  EXPECT_EQ(strip(""), "");
}

TEST(Unicode, SingleBlanksAsPythonSplitsAndJoins) {
  EXPECT_EQ(single_blanks(" \t\r\n a b\u00A0\u2028c\u0085\x1C"), "a b c");
  EXPECT_EQ(single_blanks("a\u200Bb"), "a\u200Bb");
  EXPECT_EQ(single_blanks(" \n"), "");
  EXPECT_EQ(single_blanks(""), "");
}

}  // namespace
}  // namespace capstan::data::unicode
