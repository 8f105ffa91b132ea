#include "data/text/word_shape.h"

#include <array>
#include <cstddef>

#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 13> kEndings{"ing", "ion", "ist", "ity", "al", "ed", "er", "es", "ic", "ly", "or", "s", "y"};
constexpr std::size_t kLeastStem = 3;

}  // namespace

std::string shape_token(std::string_view word) {
  const std::u32string letters = unicode::to_utf32(word), lower = unicode::lower(letters);
  bool digit = false;
  std::size_t capitals = 0;
  for (const char32_t c : letters) {
    digit = digit || (c >= '0' && c <= '9');
    capitals += unicode::lower_each(std::u32string(1, c)) != std::u32string(1, c);
  }
  std::string token(kPlainShape.substr(0, kPlainShape.size() - 1));
  const bool first = !letters.empty() && unicode::lower_each(letters.substr(0, 1)) != letters.substr(0, 1);
  if (capitals > 1 && capitals == letters.size()) {
    token += 'A';
  } else if (first) {
    token += 'C';
  }
  if (digit) token += '0';
  const std::string text = unicode::to_utf8(lower);
  for (const std::string_view ending : kEndings) {
    if (letters.size() < ending.size() + kLeastStem || !text.ends_with(ending)) continue;
    token.append("-").append(ending);
    break;
  }
  return token + "]";
}

}  // namespace capstan::data
