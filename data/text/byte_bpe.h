#pragma once
// ByteBpe: text <-> numbers of pieces by byte pair encoding over bytes, GPT-2's tokenizer (Radford et al. 2019).
//
// Text is cut into words (runs of letters, of numbers, of others, each with the blank before it; 's 't 're 've 'm 'll 'd; white space), and
// the bytes of a word are merged pair by pair, the pair of the lowest rank first. Some models part digits from all else before (SmolLM).
// Files write a byte as a printable character, a blank as U+0120. Every byte has a piece, so that any bytes are encoded, and
// decode(encode(bytes)) is the bytes (but for add_prefix_space). Bytes that are not UTF-8 stay what they are; where words end they count as
// U+FFFD, which is what tokenizers of Hugging Face put in their place. Characters have the classes of Unicode 14.0. Thread-safe. Not here:
// learning merges, frames of special tokens, other rules of cutting.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::data {

class ByteBpe {
 public:
  /// What becomes of tokens that were added to the pieces, such as <|endoftext|>, where text has their characters.
  enum class AddedTokens { as_text, as_tokens };

  /// Reads a tokenizer.json of Hugging Face, or a vocab.json with the merges.txt beside it. Throws IoError, or DataError that names what
  /// the file asks for and is not known here: a normalizer, another pre-tokenizer, a post-processor that adds tokens.
  static ByteBpe read(const std::string& path);
  static ByteBpe read(const std::string& vocabulary, const std::string& merges);
  /// The text of a tokenizer.json. Throws DataError; `name` says what it is.
  explicit ByteBpe(std::string_view json, const std::string& name = "tokenizer.json");
  /// A piece for each byte, its id the byte, and no merges.
  static ByteBpe of_single_bytes();

  /// The text of a tokenizer.json that gives the same tokenizer.
  std::string bytes() const;

  /// Ids are below it. A file may leave some out: they have no bytes.
  std::int64_t size() const;
  /// The id of <|endoftext|>, or else of <|end_of_text|>, or else of </s>; -1: there is none of them.
  std::int32_t end_of_text() const;
  /// The id of a piece as the file writes it; -1: there is none.
  std::int32_t find(std::string_view piece) const;

  std::vector<std::int32_t> encode(std::string_view text, AddedTokens added = AddedTokens::as_text) const;
  /// Appends.
  void encode(std::string_view text, std::vector<std::int32_t>& ids, AddedTokens added = AddedTokens::as_text) const;
  /// The bytes of all, one after the other, also where they are not UTF-8 (yet). Throws DataError for an id outside.
  std::string decode(std::span<const std::int32_t> ids) const;
  /// The bytes of one; valid as long as this.
  std::string_view bytes_of(std::int32_t id) const;
  /// As the file writes it.
  std::string piece(std::int32_t id) const;

 private:
  struct Model;
  struct WordCache;
  explicit ByteBpe(std::shared_ptr<const Model> model);

  std::shared_ptr<const Model> model_;
  std::shared_ptr<WordCache> cache_;
};

}  // namespace capstan::data
