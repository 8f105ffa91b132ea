#include "data/text/wordpiece_learner.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "autograd/core/error.h"
#include "data/line_reader.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::string_view kContinuation = "##";

using CountedWord = WordpieceLearner::CountedWord;

/// Merges pairs of tokens. Words are runs of token ids, each in its place of one array, shrinking where they stand.
class Merger {
 public:
  Merger(std::vector<std::string>& tokens, std::int64_t min_count) : tokens_(tokens), min_count_(min_count) {
    for (std::size_t i = 0; i < tokens.size(); ++i) ids_.emplace(tokens[i], static_cast<std::int32_t>(i));
  }

  void add_word(const CountedWord& word) {
    const auto begin = symbols_.size();
    const auto number = static_cast<std::uint32_t>(words_.size());
    for (std::size_t at = 0; at < word.text.size();) {
      const std::size_t start = at;
      unicode::decode(word.text, at);
      const std::string symbol = std::string(start == 0 ? "" : kContinuation).append(word.text.substr(start, at - start));
      symbols_.push_back(ids_.at(symbol));
    }
    words_.push_back({begin, static_cast<std::uint32_t>(symbols_.size() - begin), word.count});
    for (std::size_t i = begin; i + 1 < symbols_.size(); ++i) add(symbols_[i], symbols_[i + 1], word.count, number);
  }

  /// Merges until there are `size` tokens or no pair is left.
  void run(std::size_t size) {
    for (const auto& [pair, info] : pairs_) queue_.push({info.count, pair});
    while (tokens_.size() < size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(best.pair);
      if (found == pairs_.end() || best.count < min_count_) continue;
      if (found->second.count != best.count) {  // rarer now; if more frequent, it is in the queue for that
        if (found->second.count < best.count) queue_.push({found->second.count, best.pair});
        continue;
      }
      merge(best.pair, std::exchange(found->second.words, {}));
    }
  }

 private:
  using Pair = std::uint64_t;  // left id, right id
  struct Word {
    std::size_t begin;
    std::uint32_t size;
    std::int64_t count;
  };
  struct PairInfo {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // that hold the pair or have held it
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const { return count != other.count ? count < other.count : pair > other.pair; }
  };

  static Pair pair_of(std::int32_t left, std::int32_t right) {
    return static_cast<Pair>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }

  void add(std::int32_t left, std::int32_t right, std::int64_t count, std::uint32_t word) {
    PairInfo& info = pairs_[pair_of(left, right)];
    info.count += count;
    if (info.words.empty() || info.words.back() != word) info.words.push_back(word);
  }

  void merge(Pair pair, const std::vector<std::uint32_t>& words) {
    const auto left = static_cast<std::int32_t>(pair >> 32), right = static_cast<std::int32_t>(pair & 0xffffffffu);
    const std::string text =
        tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)].substr(kContinuation.size());
    const auto [entry, is_new] = ids_.emplace(text, static_cast<std::int32_t>(tokens_.size()));
    if (is_new) tokens_.push_back(text);
    const std::int32_t joined = entry->second;

    grown_.clear();
    for (const std::uint32_t number : words) {
      Word& word = words_[number];
      std::int32_t* const s = symbols_.data() + word.begin;
      std::uint32_t kept = 0;
      for (std::uint32_t i = 0; i < word.size; ++kept) {
        if (i + 1 < word.size && s[i] == left && s[i + 1] == right) {
          // Neighbours: what stands before has been merged already where it can be, what stands behind has not.
          if (kept > 0) replace(s[kept - 1], left, joined, word, number, true);
          if (i + 2 < word.size) replace(right, s[i + 2], joined, word, number, false);
          s[kept] = joined;
          i += 2;
        } else {
          s[kept] = s[i++];
        }
      }
      word.size = kept;
    }
    pairs_.erase(pair);
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair p : grown_)
      if (const auto found = pairs_.find(p); found != pairs_.end()) queue_.push({found->second.count, p});
  }

  /// One neighbourhood (a, b) of a word becomes (a, joined), if `left` is kept, or (joined, b).
  void replace(std::int32_t a, std::int32_t b, std::int32_t joined, const Word& word, std::uint32_t number, bool left_stays) {
    const auto old = pairs_.find(pair_of(a, b));
    if (old != pairs_.end()) old->second.count -= word.count;
    const std::int32_t left = left_stays ? a : joined, right = left_stays ? joined : b;
    add(left, right, word.count, number);
    grown_.push_back(pair_of(left, right));
  }

  std::vector<std::string>& tokens_;
  const std::int64_t min_count_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<std::int32_t> symbols_;
  std::vector<Word> words_;
  std::unordered_map<Pair, PairInfo> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> grown_;
};

}  // namespace

WordpieceLearner::WordpieceLearner(LearnerOptions options)
    : options_(std::move(options)),
      tokenizer_(options_.tokenizer),
      max_word_length_(options_.tokenizer.max_word_length.value_or(options_.tokenizer.variant == TokenizerVariant::google ? 200 : 100)) {
  require<ConfigError>(options_.vocab_size > 0 && options_.min_count > 0 && options_.max_distinct_words > 0,
                       "wordpiece: needs vocab_size, min_count and max_distinct_words above 0");
}

void WordpieceLearner::add(std::string_view text) {
  words_.clear();
  tokenizer_.split(text, words_);
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const std::string_view word = words_[i];
    if (words_.is_protected(i) || unicode::count_code_points(word) > max_word_length_) continue;
    const auto found = counts_.find(word);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(word, 1);
      if (counts_.size() > options_.max_distinct_words) forget_rare_words();
    }
  }
}

void WordpieceLearner::add_file(const std::string& path) {
  LineReader reader(path);
  for (std::string_view line; reader.next(line);) add(line);
}

void WordpieceLearner::forget_rare_words() {
  for (std::int64_t rare = 1; counts_.size() > options_.max_distinct_words / 2; rare *= 2)
    std::erase_if(counts_, [&](const auto& word) { return word.second <= rare; });
}

/// How many characters, most frequent first, the vocabulary has room for.
std::size_t WordpieceLearner::fitting_alphabet(std::span<const CountedWord> words, std::span<const CountedCharacter> ranked) const {
  constexpr std::size_t kAlways = 1000;
  std::set<char32_t> in_long_words;
  for (const CountedWord& word : words)
    if (unicode::count_code_points(word.text) > 1)
      for (std::size_t at = 0; at < word.text.size();) in_long_words.insert(unicode::decode(word.text, at));
  const auto size = static_cast<std::size_t>(options_.vocab_size);
  std::size_t tokens = options_.special_tokens.size(), merges = 0, n = 0;
  for (; n < ranked.size(); ++n) {
    const bool continues = in_long_words.contains(ranked[n].second);
    tokens += continues ? 2 : 1;
    merges += continues ? 1 : 0;
    if (tokens + (n < kAlways ? 0 : merges) > size) break;
  }
  return std::max<std::size_t>(n, 1);
}

Vocabulary WordpieceLearner::learn() const {
  require<DataError>(!counts_.empty(), "wordpiece: the text has no words to learn from");
  std::vector<CountedWord> words;
  words.reserve(counts_.size());
  for (const auto& [text, count] : counts_) words.push_back({text, count});
  std::sort(words.begin(), words.end(), [](const CountedWord& a, const CountedWord& b) { return a.text < b.text; });

  std::map<char32_t, std::int64_t> character_counts;
  for (const CountedWord& word : words)
    for (std::size_t at = 0; at < word.text.size();) character_counts[unicode::decode(word.text, at)] += word.count;
  std::vector<CountedCharacter> ranked;
  for (const auto& [c, count] : character_counts) ranked.emplace_back(-count, c);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), options_.alphabet_limit > 0 ? options_.alphabet_limit : fitting_alphabet(words, ranked)));
  std::set<char32_t> alphabet, in_long_words;
  for (const auto& [count, c] : ranked) alphabet.insert(c);
  std::erase_if(words, [&](const CountedWord& word) {
    const auto characters = unicode::to_utf32(word.text);
    if (!std::all_of(characters.begin(), characters.end(), [&](char32_t c) { return alphabet.contains(c); })) return true;
    if (characters.size() > 1) in_long_words.insert(characters.begin(), characters.end());
    return false;
  });

  std::vector<std::string> tokens = options_.special_tokens;
  const auto add_token = [&](std::string token) {
    if (std::find(options_.special_tokens.begin(), options_.special_tokens.end(), token) == options_.special_tokens.end())
      tokens.push_back(std::move(token));
  };
  for (const char32_t c : alphabet) add_token(unicode::to_utf8(std::u32string(1, c)));
  for (const char32_t c : in_long_words) add_token(std::string(kContinuation) + unicode::to_utf8(std::u32string(1, c)));
  require<ConfigError>(tokens.size() <= static_cast<std::size_t>(options_.vocab_size), "wordpiece: vocab_size ", options_.vocab_size,
                       " is less than the ", tokens.size(), " special tokens and characters; raise it or lower alphabet_limit ",
                       options_.alphabet_limit);
  Merger merger(tokens, options_.min_count);
  for (const CountedWord& word : words) merger.add_word(word);
  merger.run(static_cast<std::size_t>(options_.vocab_size));
  return Vocabulary(std::move(tokens), "learned vocabulary");
}

}  // namespace capstan::data
