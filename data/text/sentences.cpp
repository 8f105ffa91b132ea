#include "data/text/sentences.h"

#include <algorithm>
#include <array>

#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 24> kTitles = {"Mr",  "Mrs", "Ms", "Dr",  "St", "Prof",   "Rev", "Hon", "Capt", "Col", "Gen", "Lt",
                                                      "Sgt", "Maj", "Mt", "Mme", "No", "Messrs", "vs",  "Vol", "cf",   "pp",  "viz", "Fig"};

bool is_end(char32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026; }
bool is_wide_end(char32_t c) { return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61; }
bool is_closer(char32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0x201D || c == 0x2019 || c == 0xBB || c == 0x300D ||
         c == 0x300F || c == 0xFF09;
}
bool is_opener(char32_t c) {
  return c == '"' || c == '\'' || c == '(' || c == '[' || c == '{' || c == 0x201C || c == 0x2018 || c == 0xAB || c == 0x300C || c == 0x300E;
}
bool is_lower_case(char32_t c) { return (unicode::classes(c) & unicode::kCased) != 0 && unicode::lower_simple(c) == c; }

char32_t peek(std::string_view text, std::size_t at) { return at < text.size() ? unicode::decode(text, at) : 0; }

/// Moves `at` over the characters for which `skip` holds.
template <class Skip>
void pass(std::string_view text, std::size_t& at, Skip skip) {
  while (at < text.size()) {
    std::size_t next = at;
    if (!skip(unicode::decode(text, next))) return;
    at = next;
  }
}

/// Whether a full stop behind this text belongs to an abbreviation.
bool is_abbreviation(std::string_view before) {
  std::size_t begin = before.size();
  while (begin > 0 && static_cast<unsigned char>(before[begin - 1]) > ' ') --begin;
  std::string_view word = before.substr(begin);
  while (!word.empty() && is_opener(peek(word, 0))) {
    std::size_t at = 0;
    unicode::decode(word, at);
    word.remove_prefix(at);
  }
  if (word.empty()) return false;
  if (word.size() == 1) return word[0] >= 'A' && word[0] <= 'Z' && word[0] != 'I';
  return word.find('.') != std::string_view::npos || std::find(kTitles.begin(), kTitles.end(), word) != kTitles.end();
}

}  // namespace

void split_sentences(std::string_view paragraph, std::vector<std::string_view>& sentences) {
  std::size_t begin = 0, quotes = 0;  // of the present sentence: where it begins, straight double quotes so far
  const auto cut = [&](std::size_t end) {
    if (const auto sentence = unicode::strip(paragraph.substr(begin, end - begin)); !sentence.empty()) sentences.push_back(sentence);
    begin = end;
    quotes = 0;
  };
  const auto pass_closers = [&](std::size_t& at) {
    pass(paragraph, at, [&](char32_t c) {
      quotes += c == '"';
      return is_closer(c);
    });
  };
  for (std::size_t at = 0; at < paragraph.size();) {
    const std::size_t start = at;
    const char32_t c = unicode::decode(paragraph, at);
    quotes += c == '"';
    if (is_wide_end(c)) {
      pass(paragraph, at, [](char32_t x) { return is_wide_end(x) || is_end(x); });
      pass_closers(at);
      cut(at);
      continue;
    }
    if (!is_end(c)) continue;
    pass(paragraph, at, is_end);
    const bool single_stop = c == '.' && at == start + 1;
    pass_closers(at);
    if (at < paragraph.size() && !unicode::is_python_space(peek(paragraph, at))) continue;
    if (single_stop && at == start + 1 && is_abbreviation(paragraph.substr(begin, start - begin))) continue;

    std::size_t next = at;
    pass(paragraph, next, unicode::is_python_space);
    // A quotation mark that stands alone closes what an odd number of marks has left open.
    if (quotes % 2 == 1 && peek(paragraph, next) == '"' &&
        (next + 1 == paragraph.size() || unicode::is_python_space(peek(paragraph, next + 1)))) {
      at = ++next;
      ++quotes;
      pass(paragraph, next, unicode::is_python_space);
    }
    std::size_t word = next;
    pass(paragraph, word, [](char32_t x) { return is_opener(x) || x == ' '; });
    const char32_t first = peek(paragraph, word);
    if (is_lower_case(first) || is_end(first) || first == ',' || first == ';' || first == ':') continue;
    const bool spaced_number = single_stop && start > 0 && paragraph[start - 1] == ' ' && first >= '0' && first <= '9';
    if (spaced_number) continue;
    cut(at);
  }
  cut(paragraph.size());
}

}  // namespace capstan::data
