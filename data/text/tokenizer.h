#pragma once
// The tokenizers of BERT: text -> words (BasicTokenizer) -> pieces of a vocabulary (WordpieceTokenizer); Tokenizer is both.
//
// Equal to google-research/bert piece by piece, or to either tokenizer of HF transformers where a caller asks for that. Any bytes
// are accepted: what is not UTF-8 is dropped. Source of the rules: Unicode 14.0 and the original programs. Thread-safe: nothing
// changes after construction. Not here: reading files, splitting into sentences, [CLS] and [SEP].

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/vocabulary.h"

namespace capstan::data {

/// Whose results to give where the well-known programs differ.
enum class TokenizerVariant {
  google,   ///< google-research/bert
  hf_slow,  ///< HF BertTokenizer: drops private-use and unassigned characters, composes (NFC) when accents stay
  hf_fast,  ///< HF BertTokenizerFast: drops private-use ones alone, strips accents before lower-casing, has no final sigma, skips
            ///< U+2B820..2B91F as ideographs
};

/// Variants as options, records and checkpoints name them; absent: there is no such variant.
std::string_view name_of(TokenizerVariant variant);
std::optional<TokenizerVariant> variant_named(std::string_view name);
/// A vocabulary file as that program reads it: vocab.txt, or the WordPiece vocabulary in a tokenizer.json. Throws what Vocabulary::load and
/// read_json do.
Vocabulary load_vocabulary(const std::string& path, TokenizerVariant variant);

struct TokenizerOptions {
  bool lower_case = true;
  TokenizerVariant variant = TokenizerVariant::google;
  std::optional<bool> strip_accents = {};  ///< absent: as lower_case
  bool split_ideographs = true;            ///< every Chinese character is a word
  /// Words of more code points become [UNK]; absent: 200, with an HF variant 100.
  std::optional<std::size_t> max_word_length = {};
  /// Tokens that raw text may contain as they are, such as "[MASK]". Found anywhere, the longest first; google knows none.
  std::vector<std::string> protected_tokens = {};
};

/// Words in one buffer; [i] is valid until the next change.
class Words {
 public:
  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::string_view operator[](std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1].end;
    return std::string_view(text_).substr(begin, ends_[i].end - begin);
  }
  /// Whether word i is one of the protected tokens, to be looked up whole.
  bool is_protected(std::size_t i) const { return ends_[i].is_protected; }
  void clear() {
    text_.clear();
    ends_.clear();
  }

 private:
  friend class BasicTokenizer;
  struct End {
    std::size_t end;
    bool is_protected;
  };
  std::string text_;
  std::vector<End> ends_;
};

class BasicTokenizer {
 public:
  explicit BasicTokenizer(TokenizerOptions options = {});
  /// Appends the words of `text`: cleaned, lower-cased, without accents, punctuation apart.
  void split(std::string_view text, Words& words) const;
  std::vector<std::string> operator()(std::string_view text) const;

 private:
  void split_unprotected(std::string_view text, Words& words) const;
  std::size_t split_general(std::string_view text, std::size_t at, Words& words) const;
  void append_words(std::u32string token, Words& words) const;

  TokenizerOptions options_;
  bool strip_accents_;
};

class WordpieceTokenizer {
 public:
  /// Keeps a reference to the vocabulary, which must have [UNK] (DataError).
  WordpieceTokenizer(const Vocabulary& vocabulary, std::size_t max_word_length);
  WordpieceTokenizer(Vocabulary&&, std::size_t) = delete;
  /// Appends the pieces of one word of valid UTF-8: greedily the longest match from the left, pieces behind the first with "##";
  /// a single [UNK] if the word is too long or cannot be covered.
  void append(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  const Vocabulary* vocabulary_;
  std::size_t max_word_length_;
  std::int32_t unknown_;
};

/// Where the vocabulary has tokens for shapes (word_shape.h), a word that it does not know is its lower-case form, or else its shape.
class Tokenizer {
 public:
  /// Keeps a reference to the vocabulary. DataError if [UNK] or a protected token is not in it.
  explicit Tokenizer(const Vocabulary& vocabulary, const TokenizerOptions& options = {});
  Tokenizer(Vocabulary&&, const TokenizerOptions& = {}) = delete;

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  /// Appends the ids of the pieces of `text`.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const;
  std::vector<std::int32_t> encode(std::string_view text) const;
  std::vector<std::string> pieces(std::string_view text) const;

 private:
  const Vocabulary* vocabulary_;
  std::int32_t known_by_shape(std::string_view word) const;

  BasicTokenizer basic_;
  WordpieceTokenizer wordpiece_;
  std::int32_t unknown_, plain_shape_;  // plain_shape_: -1 where there are no shapes
};

}  // namespace capstan::data
