#pragma once
// WordCounter: a vocabulary of whole words from raw text, for models that give every word a vector.
//
// Words are those of BasicTokenizer, counted; the vocabulary is the special tokens, shapes by name, then the words by falling count, words
// of equal count by their bytes. Tokenizer cuts text for it as it does for WordPiece: without "##" forms a word is either known whole or
// [UNK]. Words longer than a tokenizer looks up are left out. Deterministic; memory grows with distinct words.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace capstan::data {

struct WordCounterOptions {
  std::int64_t vocab_size = 0;  ///< tokens at most, special ones among them; 0: no limit
  std::int64_t min_count = 1;   ///< of a word that is taken
  bool shapes = false;          ///< words that are not taken have tokens for their shapes (word_shape.h), those that come min_count times
  std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[SEP]"};
  TokenizerOptions tokenizer = {};
};

class WordCounter {
 public:
  explicit WordCounter(WordCounterOptions options = {});

  /// Counts the words of a piece of text.
  void add(std::string_view text);
  std::int64_t distinct_words() const { return static_cast<std::int64_t>(counts_.size()); }
  /// DataError if no word was added, or none comes often enough.
  Vocabulary vocabulary() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  WordCounterOptions options_;
  BasicTokenizer tokenizer_;
  std::size_t max_word_length_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> counts_;
  Words words_;
};

}  // namespace capstan::data
