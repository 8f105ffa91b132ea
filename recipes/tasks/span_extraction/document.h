#pragma once
// Document: a context as words between white space and as the pieces of a tokenizer, with the maps between them, as run_squad of
// google-research/bert cuts it. Numbers of words and pieces count from 0; offsets in the text are code points where nothing else is said.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/squad.h"
#include "data/text/tokenizer.h"

namespace capstan::span_extraction {

/// Pieces, words or positions from one to another, both included.
struct Span {
  std::int64_t first = 0, last = -1;
  std::int64_t length() const { return last - first + 1; }
  bool operator==(const Span&) const = default;
};

class Document {
 public:
  /// `text` is valid UTF-8. White space: blank, tab, line ends, U+202F.
  Document(std::string text, const data::Tokenizer& tokenizer);

  const std::string& text() const { return text_; }
  std::int64_t words() const { return static_cast<std::int64_t>(words_.size()); }
  std::int64_t pieces() const { return static_cast<std::int64_t>(ids_.size()); }
  std::span<const std::int32_t> ids() const { return ids_; }
  std::int64_t word_of(std::int64_t piece) const { return word_of_[static_cast<std::size_t>(piece)]; }

  /// The word of a character, that before it for white space; -1 in front of the first one.
  std::int64_t word_at(std::int64_t character) const;
  /// Words with one blank between each.
  std::string joined(Span words) const;
  /// Where a character of joined(words) is in the text.
  std::int64_t offset(Span words, std::int64_t character) const;
  /// The pieces of words; last < first if they have none.
  Span pieces_of(Span words) const;

 private:
  struct Word {
    std::uint32_t begin, end;  // bytes
    std::int32_t piece;        // the first one
  };
  std::string_view word(std::int64_t i) const {
    const Word& w = words_[static_cast<std::size_t>(i)];
    return std::string_view(text_).substr(w.begin, w.end - w.begin);
  }

  std::string text_;
  std::vector<Word> words_;
  std::vector<std::int32_t> ids_, word_of_;  // of pieces
};

/// The pieces of an answer, tightened; nothing if its text, but for white space, does not stand in the words that its place is in.
std::optional<Span> answer_pieces(const Document& document, const data::SquadAnswer& answer, const data::Tokenizer& tokenizer);

/// The first span inside `from` (by rising start, then falling end) whose pieces are those of the answer; `from` if there is none: of
/// "(1895-1943)", answered by "1895", only the piece "1895".
Span tightened(std::span<const std::int32_t> pieces, Span from, std::span<const std::int32_t> answer);

/// Spans of at most `capacity` pieces that cover a document, each beginning `stride` behind the one before.
std::vector<Span> windows(std::int64_t pieces, std::int64_t capacity, std::int64_t stride);

/// The window that sees a piece with the most context: that of the best min(pieces on its left, on its right) + 0.01 length, the first
/// best one. Only this one may begin an answer there.
std::int64_t owner(std::span<const Span> windows, std::int64_t piece);

}  // namespace capstan::span_extraction
