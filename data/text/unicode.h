#pragma once
// What tokenisation needs of Unicode: UTF-8, character classes, lower case, canonical normal forms. Tables of version 14.0.
//
// Own tables instead of a library: the goldens of the tokenizers are of Unicode 14.0, Debian's utf8proc 2.8 is of 15.0 and knows
// neither the contexts of lower-casing nor their classes. All functions are total: every code point up to U+10FFFF has an answer,
// none throws (memory aside), and time is linear in the text but for sorting runs of marks.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace capstan::data::unicode {

inline constexpr char32_t kReplacement = 0xFFFD;

/// Bits of classes(). "Other" are the categories C* besides Cc and Cf: unassigned, private use, surrogates.
enum Class : std::uint8_t {
  kMark = 1,            ///< Mn
  kSpace = 2,           ///< Zs
  kLine = 4,            ///< Zl, Zp
  kControl = 8,         ///< Cc, Cf
  kOther = 16,          ///< Cn, Co, Cs
  kPunctuation = 32,    ///< P*
  kCased = 64,          ///< has case and is not case-ignorable
  kCaseIgnorable = 128  ///< skipped when the context of a sigma is looked for
};
std::uint8_t classes(char32_t c);
/// Canonical combining class.
std::uint8_t combining_class(char32_t c);
/// What Python's str.split and str.strip take for white space.
bool is_python_space(char32_t c);
/// What Python's str.isalnum takes: letters and numbers of all kinds. With the underscore, the characters of a word in its `re`.
bool is_alphanumeric(char32_t c);
/// Numbers of all kinds, N*; what is alphanumeric and no number is a letter, L*.
bool is_number(char32_t c);

/// Decodes the character at `at` and moves `at` behind it. Bytes that are not UTF-8 (also surrogates, overlong forms, beyond
/// U+10FFFF) give U+FFFD, one for each longest start of a valid form. Needs at < text.size().
char32_t decode(std::string_view text, std::size_t& at);
void append_utf8(std::string& out, char32_t c);
std::u32string to_utf32(std::string_view text);
std::string to_utf8(std::u32string_view text);
/// Place of the first byte that is not UTF-8; npos: there is none.
std::size_t first_invalid(std::string_view text);
bool is_valid_utf8(std::string_view text);
/// Code points in valid UTF-8.
std::size_t count_code_points(std::string_view text);

/// The lower case of one character on its own; only U+0130 has two (i, U+0307) and gives the first.
char32_t lower_simple(char32_t c);
/// Full lower case in the way of Python's str.lower: U+0130 becomes i U+0307, a capital sigma at the end of a word U+03C2.
std::u32string lower(std::u32string_view text);
/// The same in Rust's char::to_lowercase, one character at a time: a capital sigma is always U+03C3.
std::u32string lower_each(std::u32string_view text);

/// Normal forms D and C.
std::u32string nfd(std::u32string_view text);
std::u32string nfc(std::u32string_view text);

/// `text` without white space (is_python_space) at both ends; invalid UTF-8 is no white space.
std::string_view strip(std::string_view text);
/// The words of `text` between such white space, with a blank between each: Python's " ".join(text.split()).
std::string single_blanks(std::string_view text);

}  // namespace capstan::data::unicode
