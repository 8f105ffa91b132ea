#pragma once
// WordpieceLearner: a WordPiece vocabulary from raw text, by merging the most frequent pairs (byte-pair encoding over characters, as
// the original never published its own learner).
//
//   1. Text is cut into words by BasicTokenizer and words are counted. Words beyond max_word_length are left out.
//   2. Characters are ranked by count, ties by code point; the first `alphabet_limit` are the alphabet. Words with others are left out.
//      Without a limit the alphabet has what fits: beyond the first 1,000 as long as there is room for as many merges as for "##" forms.
//   3. A word begins as its characters, all but the first with "##". The pair of neighbours with the largest count over all words,
//      ties by lower ids, becomes one token, everywhere; this repeats until the vocabulary is full or no pair comes `min_count` times.
//      Two pairs may spell the same token; it enters the vocabulary once.
//   4. Ids: special tokens, the alphabet by code point, the "##" forms of characters seen in words of several, the merges in order.
//
// Deterministic: the result depends on options and text alone. Memory grows with distinct words, up to `max_distinct_words`; beyond
// it the rarest are forgotten while counting. Learning takes 360 bytes a word of 9 letters, 460 of 13 (measured): at the default, at
// most 360 MB. Source: Sennrich, Haddow, Birch, "Neural machine translation of rare words with
// subword units", 2016; Wu and others, "Google's neural machine translation system", 2016.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace capstan::data {

struct LearnerOptions {
  std::int32_t vocab_size = 30000;
  std::int64_t min_count = 2;      ///< of a pair that is merged
  std::size_t alphabet_limit = 0;  ///< 0: as vocab_size has room
  std::size_t max_distinct_words = std::size_t{3} << 18;
  std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  TokenizerOptions tokenizer = {};
};

class WordpieceLearner {
 public:
  explicit WordpieceLearner(LearnerOptions options = {});

  /// Counts the words of a line or any other piece of text.
  void add(std::string_view text);
  /// Counts a plain or gzip file. Throws IoError or DataError.
  void add_file(const std::string& path);

  std::size_t distinct_words() const { return counts_.size(); }
  /// The vocabulary of what was added. ConfigError if vocab_size cannot hold the special tokens and an alphabet of alphabet_limit;
  /// DataError if there was no word. The vocabulary may be smaller than asked for.
  Vocabulary learn() const;

  struct CountedWord {
    std::string_view text;
    std::int64_t count;
  };

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using CountedCharacter = std::pair<std::int64_t, char32_t>;  // the count with a minus: by count, then by code point
  void forget_rare_words();
  std::size_t fitting_alphabet(std::span<const CountedWord> words, std::span<const CountedCharacter> ranked) const;

  LearnerOptions options_;
  BasicTokenizer tokenizer_;
  std::size_t max_word_length_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> counts_;
  Words words_;
};

}  // namespace capstan::data
