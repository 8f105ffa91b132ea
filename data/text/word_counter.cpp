#include "data/text/word_counter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autograd/core/error.h"
#include "data/text/unicode.h"
#include "data/text/word_shape.h"

namespace capstan::data {

WordCounter::WordCounter(WordCounterOptions options)
    : options_(std::move(options)),
      tokenizer_(options_.tokenizer),
      max_word_length_(options_.tokenizer.max_word_length.value_or(options_.tokenizer.variant == TokenizerVariant::google ? 200 : 100)) {}

void WordCounter::add(std::string_view text) {
  words_.clear();
  tokenizer_.split(text, words_);
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const std::string_view word = words_[i];
    if (word.size() > max_word_length_ && unicode::count_code_points(word) > max_word_length_) continue;
    if (const auto found = counts_.find(word); found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(word, 1);
    }
  }
}

Vocabulary WordCounter::vocabulary() const {
  std::vector<std::pair<std::int64_t, std::string_view>> ranked;  // the count with a minus: by falling count, then by bytes
  for (const auto& [word, count] : counts_)
    if (count >= options_.min_count) ranked.emplace_back(-count, word);
  require<DataError>(!ranked.empty(), "vocabulary: none of ", counts_.size(), " words comes ", options_.min_count, " times");
  std::ranges::sort(ranked);
  std::vector<std::string> tokens = options_.special_tokens;
  if (options_.shapes) {
    std::map<std::string, std::int64_t> shapes;
    for (const auto& [word, count] : counts_)
      if (count < options_.min_count) shapes[shape_token(word)] += count;
    shapes[std::string(kPlainShape)] = options_.min_count;
    for (const auto& [shape, count] : shapes)
      if (count >= options_.min_count) tokens.push_back(shape);
  }
  const auto room = static_cast<std::size_t>(options_.vocab_size);
  for (const auto& [count, word] : ranked) {
    if (room > 0 && tokens.size() >= room) break;
    tokens.emplace_back(word);
  }
  return Vocabulary(std::move(tokens), "vocabulary of the training texts");
}

}  // namespace capstan::data
