#include "recipes/tasks/span_extraction/document.h"

#include <algorithm>
#include <limits>

#include "autograd/core/error.h"
#include "data/text/unicode.h"

namespace capstan::span_extraction {
namespace {

namespace unicode = data::unicode;

bool parts_words(char32_t c) { return c == U' ' || c == U'\t' || c == U'\r' || c == U'\n' || c == 0x202F; }

std::int64_t characters(std::string_view text) { return static_cast<std::int64_t>(unicode::count_code_points(text)); }

}  // namespace

Document::Document(std::string text, const data::Tokenizer& tokenizer) : text_(std::move(text)) {
  require<DataError>(text_.size() < std::numeric_limits<std::int32_t>::max(), "span_extraction: a context must have less than 2 GB, got ",
                     text_.size(), " bytes");
  bool inside = false;
  for (std::size_t at = 0; at < text_.size();) {
    const auto begin = static_cast<std::uint32_t>(at);
    const bool parts = parts_words(unicode::decode(text_, at));
    if (!parts && !inside) words_.push_back({.begin = begin, .end = begin, .piece = 0});
    if (!parts) words_.back().end = static_cast<std::uint32_t>(at);
    inside = !parts;
  }
  for (std::int64_t i = 0; i < words(); ++i) {
    words_[static_cast<std::size_t>(i)].piece = static_cast<std::int32_t>(ids_.size());
    tokenizer.encode(word(i), ids_);
    word_of_.resize(ids_.size(), static_cast<std::int32_t>(i));
  }
  ids_.shrink_to_fit();
  word_of_.shrink_to_fit();
}

std::int64_t Document::word_at(std::int64_t character) const {
  std::size_t byte = 0;
  for (std::int64_t i = 0; i < character && byte < text_.size(); ++i) unicode::decode(text_, byte);
  const auto after = std::ranges::upper_bound(words_, byte, {}, [](const Word& w) { return std::size_t{w.begin}; });
  return std::distance(words_.begin(), after) - 1;
}

std::string Document::joined(Span words) const {
  std::string out;
  for (std::int64_t i = words.first; i <= words.last; ++i) {
    if (i > words.first) out += ' ';
    out += word(i);
  }
  return out;
}

std::int64_t Document::offset(Span words, std::int64_t character) const {
  std::int64_t i = words.first;
  for (; i < words.last && character > characters(word(i)); ++i) character -= characters(word(i)) + 1;
  return characters(std::string_view(text_).substr(0, words_[static_cast<std::size_t>(i)].begin)) + character;
}

Span Document::pieces_of(Span words) const {
  const std::int64_t next = words.last + 1;
  return {words_[static_cast<std::size_t>(words.first)].piece,
          (next < this->words() ? words_[static_cast<std::size_t>(next)].piece : pieces()) - 1};
}

std::optional<Span> answer_pieces(const Document& document, const data::SquadAnswer& answer, const data::Tokenizer& tokenizer) {
  const Span words{document.word_at(answer.start), document.word_at(answer.start + characters(answer.text) - 1)};
  if (words.first < 0 || document.joined(words).find(unicode::single_blanks(answer.text)) == std::string::npos) return std::nullopt;
  const Span pieces = document.pieces_of(words);
  if (pieces.length() < 1) return std::nullopt;
  return tightened(document.ids(), pieces, tokenizer.encode(answer.text));
}

Span tightened(std::span<const std::int32_t> pieces, Span from, std::span<const std::int32_t> answer) {
  const auto length = static_cast<std::int64_t>(answer.size());
  for (std::int64_t first = from.first; length > 0 && first + length - 1 <= from.last; ++first)
    if (std::ranges::equal(pieces.subspan(static_cast<std::size_t>(first), answer.size()), answer)) return {first, first + length - 1};
  return from;
}

std::vector<Span> windows(std::int64_t pieces, std::int64_t capacity, std::int64_t stride) {
  std::vector<Span> out;
  for (std::int64_t first = 0; first < pieces;) {
    const std::int64_t length = std::min(pieces - first, capacity);
    out.push_back({first, first + length - 1});
    if (first + length == pieces) break;
    first += std::min(length, stride);
  }
  return out;
}

std::int64_t owner(std::span<const Span> windows, std::int64_t piece) {
  std::int64_t best = -1;
  double best_score = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const Span& w = windows[i];
    if (piece < w.first || piece > w.last) continue;
    const double score = static_cast<double>(std::min(piece - w.first, w.last - piece)) + 0.01 * static_cast<double>(w.length());
    if (best >= 0 && score <= best_score) continue;
    best = static_cast<std::int64_t>(i);
    best_score = score;
  }
  return best;
}

}  // namespace capstan::span_extraction
