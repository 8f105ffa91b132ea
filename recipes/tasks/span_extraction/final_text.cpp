#include "recipes/tasks/span_extraction/final_text.h"

#include <algorithm>
#include <vector>

#include "data/text/unicode.h"

namespace capstan::span_extraction {
namespace {

namespace unicode = data::unicode;

/// Where the characters other than blanks are.
std::vector<std::size_t> places_of_text(std::u32string_view text) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] != U' ') places.push_back(i);
  return places;
}

void remove_all(std::string& text, std::string_view what) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at)) text.erase(at, what.size());
}

}  // namespace

FinalText final_text(std::string_view prediction, std::string_view original, const data::BasicTokenizer& tokenizer) {
  const std::u32string source = unicode::to_utf32(original), wanted = unicode::to_utf32(prediction);
  const FinalText whole{std::string(original), 0, static_cast<std::int64_t>(source.size())};
  data::Words words;
  tokenizer.split(original, words);
  std::u32string tokens;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) tokens += U' ';
    tokens += unicode::to_utf32(words[i]);
  }

  const std::size_t start = tokens.find(wanted);
  if (start == std::u32string::npos || wanted.empty()) return whole;
  const std::vector<std::size_t> of_source = places_of_text(source), of_tokens = places_of_text(tokens);
  if (of_source.size() != of_tokens.size()) return whole;
  const auto place = [&](std::size_t in_tokens) { return std::ranges::find(of_tokens, in_tokens) - of_tokens.begin(); };
  const std::ptrdiff_t first = place(start), last = place(start + wanted.size() - 1), none = std::ssize(of_tokens);
  if (first == none || last == none) return whole;
  const std::size_t begin = of_source[static_cast<std::size_t>(first)], end = of_source[static_cast<std::size_t>(last)] + 1;
  return {unicode::to_utf8(std::u32string_view(source).substr(begin, end - begin)), static_cast<std::int64_t>(begin),
          static_cast<std::int64_t>(end)};
}

std::string text_of_pieces(const data::Vocabulary& vocabulary, std::span<const std::int32_t> pieces) {
  std::string joined;
  for (const std::int32_t id : pieces) joined += (joined.empty() ? "" : " ") + vocabulary.token(id);
  remove_all(joined, " ##");
  remove_all(joined, "##");
  return unicode::single_blanks(joined);
}

}  // namespace capstan::span_extraction
