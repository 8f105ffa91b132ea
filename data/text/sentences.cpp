#include "data/text/sentences.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 24> kTitles = {"Mr",  "Mrs", "Ms", "Dr",  "St", "Prof",   "Rev", "Hon", "Capt", "Col", "Gen", "Lt",
                                                      "Sgt", "Maj", "Mt", "Mme", "No", "Messrs", "vs",  "Vol", "cf",   "pp",  "viz", "Fig"};

// First and last of each run, ascending: rule 2 of the header.
constexpr std::array<std::pair<char32_t, char32_t>, 70> kTerminals{
    {{0x0589, 0x0589},   {0x061D, 0x061F},   {0x06D4, 0x06D4},   {0x0700, 0x0702},   {0x07F9, 0x07F9},   {0x0837, 0x0837},
     {0x0839, 0x0839},   {0x083D, 0x083E},   {0x0964, 0x0965},   {0x0F0D, 0x0F12},   {0x104A, 0x104B},   {0x1362, 0x1362},
     {0x1367, 0x1368},   {0x166E, 0x166E},   {0x1735, 0x1736},   {0x1803, 0x1803},   {0x1809, 0x1809},   {0x1944, 0x1945},
     {0x1AA8, 0x1AAB},   {0x1B5A, 0x1B5B},   {0x1B5E, 0x1B5F},   {0x1B7D, 0x1B7E},   {0x1C3B, 0x1C3C},   {0x1C7E, 0x1C7F},
     {0x3002, 0x3002},   {0xA4FF, 0xA4FF},   {0xA60E, 0xA60F},   {0xA6F3, 0xA6F3},   {0xA6F7, 0xA6F7},   {0xA876, 0xA877},
     {0xA8CE, 0xA8CF},   {0xA92F, 0xA92F},   {0xA9C8, 0xA9C9},   {0xAA5D, 0xAA5F},   {0xAAF0, 0xAAF1},   {0xABEB, 0xABEB},
     {0xFF01, 0xFF01},   {0xFF0E, 0xFF0E},   {0xFF1F, 0xFF1F},   {0xFF61, 0xFF61},   {0x10A56, 0x10A57}, {0x10F55, 0x10F59},
     {0x10F86, 0x10F89}, {0x11047, 0x11048}, {0x110BE, 0x110C1}, {0x11141, 0x11143}, {0x111C5, 0x111C6}, {0x111CD, 0x111CD},
     {0x111DE, 0x111DF}, {0x11238, 0x11239}, {0x1123B, 0x1123C}, {0x112A9, 0x112A9}, {0x1144B, 0x1144C}, {0x115C2, 0x115C3},
     {0x115C9, 0x115D7}, {0x11641, 0x11642}, {0x1173C, 0x1173E}, {0x11944, 0x11944}, {0x11946, 0x11946}, {0x11A42, 0x11A43},
     {0x11A9B, 0x11A9C}, {0x11C41, 0x11C42}, {0x11EF7, 0x11EF8}, {0x16A6E, 0x16A6F}, {0x16AF5, 0x16AF5}, {0x16B37, 0x16B38},
     {0x16B44, 0x16B44}, {0x16E98, 0x16E98}, {0x1BC9F, 0x1BC9F}, {0x1DA88, 0x1DA88}}};

bool is_end(char32_t c) {
  return c == '.' || c == '!' || c == '?' ||
         (c >= 0x2026 && (c == 0x2026 || c == 0x203C || c == 0x203D || (c >= 0x2047 && c <= 0x2049) || c == 0x2E2E || c == 0x2E3C ||
                          c == 0x2E53 || c == 0x2E54 || c == 0xFE52 || c == 0xFE56 || c == 0xFE57));
}
bool is_script_end(char32_t c) {
  if (c < kTerminals.front().first) return false;
  const auto after = std::ranges::upper_bound(kTerminals, c, {}, &std::pair<char32_t, char32_t>::first);
  return c <= std::prev(after)->second;
}
bool is_wide_digit(char32_t c) { return (c >= '0' && c <= '9') || (c >= 0xFF10 && c <= 0xFF19); }
bool is_closer(char32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0x201D || c == 0x2019 || c == 0xBB || c == 0x300D ||
         c == 0x300F || c == 0xFF09;
}
bool is_opener(char32_t c) {
  return c == '"' || c == '\'' || c == '(' || c == '[' || c == '{' || c == 0x201C || c == 0x2018 || c == 0xAB || c == 0x300C || c == 0x300E;
}
// Georgian letters have capitals in Unicode, but sentences do not begin with them.
bool is_georgian(char32_t c) { return c >= 0x10D0 && c <= 0x10FF; }
bool is_lower_case(char32_t c) { return (unicode::classes(c) & unicode::kCased) != 0 && unicode::lower_simple(c) == c; }

char32_t peek(std::string_view text, std::size_t at) { return at < text.size() ? unicode::decode(text, at) : 0; }

bool is_georgian_word(std::string_view text, std::size_t at) {
  if (!is_georgian(peek(text, at))) return false;
  unicode::decode(text, at);
  return is_georgian(peek(text, at));
}

/// Moves `at` over the characters for which `skip` holds.
template <class Skip>
void pass(std::string_view text, std::size_t& at, Skip skip) {
  while (at < text.size()) {
    std::size_t next = at;
    if (!skip(unicode::decode(text, next))) return;
    at = next;
  }
}

bool same_ignoring_first_case(std::string_view title, std::string_view word) {
  return title.size() == word.size() && title.substr(1) == word.substr(1) && (title[0] | 0x20) == (word[0] | 0x20);
}

/// Whether a full stop behind this text belongs to an abbreviation; `lower`: of a text without capitals.
bool is_abbreviation(std::string_view before, bool lower) {
  std::size_t begin = before.size();
  while (begin > 0 && static_cast<unsigned char>(before[begin - 1]) > ' ') --begin;
  std::string_view word = before.substr(begin);
  while (!word.empty() && is_opener(peek(word, 0))) {
    std::size_t at = 0;
    unicode::decode(word, at);
    word.remove_prefix(at);
  }
  if (word.empty()) return false;
  const char first = word[0];
  if (word.size() == 1) return (first >= 'A' && first <= 'Z' && first != 'I') || (lower && first >= 'a' && first <= 'z' && first != 'i');
  return word.find('.') != std::string_view::npos || std::ranges::any_of(kTitles, [&](std::string_view title) {
           return title == word || (lower && same_ignoring_first_case(title, word));
         });
}

}  // namespace

void Capitals::add(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = unicode::decode(text, at);
    if ((unicode::classes(c) & unicode::kCased) == 0 || is_georgian(c)) continue;
    ++cased;
    capital += unicode::lower_simple(c) != c;
  }
}

void split_sentences(std::string_view paragraph, std::vector<std::string_view>& sentences, bool lower_cased) {
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
    if (is_script_end(c)) {
      if (c == 0xFF0E && at < paragraph.size() && is_wide_digit(peek(paragraph, at))) continue;
      // Marks with spaces between them, as double shads and dandas are often written, stand together.
      const auto is_mark = [](char32_t x) { return is_script_end(x) || is_end(x); };
      for (std::size_t next = at;;) {
        pass(paragraph, next, unicode::is_python_space);
        if (!is_mark(peek(paragraph, next))) break;
        pass(paragraph, next, is_mark);
        at = next;
      }
      pass_closers(at);
      cut(at);
      continue;
    }
    if (!is_end(c)) continue;
    pass(paragraph, at, is_end);
    const bool single_stop = c == '.' && at == start + 1;
    pass_closers(at);
    if (at < paragraph.size() && !unicode::is_python_space(peek(paragraph, at))) continue;
    if (single_stop && at == start + 1 && is_abbreviation(paragraph.substr(begin, start - begin), lower_cased)) continue;

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
    const bool says_nothing = lower_cased || is_georgian_word(paragraph, word);
    if ((is_lower_case(first) && !says_nothing) || is_end(first) || first == ',' || first == ';' || first == ':') continue;
    const bool spaced_number = single_stop && start > 0 && paragraph[start - 1] == ' ' && first >= '0' && first <= '9';
    if (spaced_number) continue;
    cut(at);
  }
  cut(paragraph.size());
}

}  // namespace capstan::data
