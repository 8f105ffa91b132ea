#include "data/text/wordpiece_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/text/unicode.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using Texts = std::vector<std::string>;

Texts tokens_of(const Vocabulary& v) {
  Texts out;
  for (std::int32_t i = 0; i < v.size(); ++i) out.push_back(v.token(i));
  return out;
}

Texts learned(const std::string& text, LearnerOptions options) {
  WordpieceLearner learner(std::move(options));
  learner.add(text);
  return tokens_of(learner.learn());
}

TEST(WordpieceLearner, MergesTheMostFrequentPair) {
  // Pairs at first: (a, ##b) 3 + 2 = 5, (##b, ##c) 2 + 1 = 3, (x, ##b) 1. Then "abc" 2 against "##bc" 1.
  const Texts expected = {"[UNK]", "a", "b", "c", "x", "##a", "##b", "##c", "##x", "ab", "abc"};
  EXPECT_EQ(learned("ab ab ab abc abc xbc", {.vocab_size = 100, .min_count = 2, .special_tokens = {"[UNK]"}}), expected);
  // Full before that.
  EXPECT_EQ(learned("ab ab ab abc abc xbc", {.vocab_size = 10, .min_count = 2, .special_tokens = {"[UNK]"}}).size(), 10u);
}

TEST(WordpieceLearner, BreaksTiesByLowerIds) {
  // Ids: a 0, b 1, c 2, d 3, ##a 4, ##b 5, ##c 6, ##d 7. (a, ##b) before (c, ##d), however the text is ordered.
  for (const std::string text : {"cd ab cd ab", "ab cd ab cd"})
    EXPECT_EQ(learned(text, {.vocab_size = 9, .special_tokens = {}}).back(), "ab");
}

TEST(WordpieceLearner, AlphabetComesByCodePoint) {
  // Ideographs and punctuation never go on a word, so they have no "##" form.
  EXPECT_THAT(learned("za! \u6211 z", {.vocab_size = 50, .min_count = 9, .special_tokens = {"[PAD]", "[UNK]"}}),
              ElementsAre("[PAD]", "[UNK]", "!", "a", "z", "\u6211", "##a", "##z"));
  // The rarest characters fall out with their words; of equal ones the one with the higher code point.
  EXPECT_THAT(learned("aaa bb b cc dd aq", {.vocab_size = 50, .min_count = 9, .alphabet_limit = 3, .special_tokens = {}}),
              ElementsAre("a", "b", "c", "##a", "##b", "##c"));
}

/// The definition, with all counts anew in each round.
Texts learned_slowly(const std::map<std::string, std::int64_t>& words, Texts tokens, std::size_t size, std::int64_t min_count) {
  std::vector<std::pair<std::vector<std::size_t>, std::int64_t>> runs;
  const auto id = [&](const std::string& t) {
    return static_cast<std::size_t>(std::find(tokens.begin(), tokens.end(), t) - tokens.begin());
  };
  for (const auto& [word, count] : words) {
    runs.emplace_back();
    for (std::size_t i = 0; i < word.size(); ++i) runs.back().first.push_back(id((i > 0 ? "##" : "") + word.substr(i, 1)));
    runs.back().second = count;
  }
  while (tokens.size() < size) {
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> pairs;
    for (const auto& [run, count] : runs)
      for (std::size_t i = 0; i + 1 < run.size(); ++i) pairs[{run[i], run[i + 1]}] += count;
    std::pair<std::size_t, std::size_t> best;
    std::int64_t most = 0;
    for (const auto& [pair, count] : pairs)
      if (count > most) std::tie(best, most) = std::pair(pair, count);
    if (most < min_count) break;
    const std::string text = tokens[best.first] + tokens[best.second].substr(2);
    if (id(text) == tokens.size()) tokens.push_back(text);
    for (auto& [run, count] : runs) {
      std::vector<std::size_t> next;
      for (std::size_t i = 0; i < run.size(); ++i) {
        const bool here = i + 1 < run.size() && std::pair(run[i], run[i + 1]) == best;
        next.push_back(here ? id(text) : run[i]);
        i += here;
      }
      run = next;
    }
  }
  return tokens;
}

TEST(WordpieceLearner, EqualsTheDefinitionOnRandomWords) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Rng random(random_key(seed, "words"));
    std::map<std::string, std::int64_t> words;
    std::string text;
    const auto letters = 1 + random.below(4);
    for (int n = 0; n < 120; ++n) {
      std::string word(1 + random.below(9), ' ');
      for (char& c : word) c = static_cast<char>('a' + random.below(letters));
      ++words[word];
      text += word + " ";
    }
    WordpieceLearner learner({.vocab_size = 90, .min_count = 3});
    learner.add(text);
    Texts start = LearnerOptions{}.special_tokens;
    const auto has = [&](char c, std::size_t least) {
      return std::any_of(words.begin(), words.end(),
                         [&](const auto& w) { return w.first.size() >= least && w.first.find(c) != std::string::npos; });
    };
    for (char c = 'a'; c <= 'd'; ++c)
      if (has(c, 1)) start.emplace_back(1, c);
    for (char c = 'a'; c <= 'd'; ++c)
      if (has(c, 2)) start.push_back(std::string("##") + c);
    EXPECT_THAT(tokens_of(learner.learn()), ElementsAreArray(learned_slowly(words, start, 90, 3))) << text;
  }
}

TEST(WordpieceLearner, CoversEveryWordOfItsAlphabet) {
  WordpieceLearner learner({.vocab_size = 80});
  const Scratch scratch;
  learner.add_file(scratch.write("text", "The cat sat on the mat.\nThe dog sat, too!\n"));
  const auto v = learner.learn();
  const Tokenizer tokenizer(v);
  EXPECT_THAT(tokenizer.pieces("the sat"), ElementsAre("the", "sat"));
  for (const auto& piece : tokenizer.pieces("gnat tomcat, mad hen!")) EXPECT_NE(piece, "[UNK]");
  EXPECT_EQ(tokenizer.pieces("zoo"), Texts{"[UNK]"});
}

TEST(WordpieceLearner, ForgetsRareWordsWhenThereAreTooMany) {
  WordpieceLearner learner({.vocab_size = 300, .max_distinct_words = 100});
  for (int i = 0; i < 5000; ++i) learner.add("often w" + std::to_string(i));
  EXPECT_LE(learner.distinct_words(), 100u);
  EXPECT_GE(learner.learn().find("often"), 0);
}

// By default it stays below 400 MB: learning takes up to 460 bytes a word (words of 13 letters, measured).
TEST(WordpieceLearner, NeedsLimitedMemory) { EXPECT_LE(LearnerOptions{}.max_distinct_words * 460, 400'000'000u); }

TEST(WordpieceLearner, TheAlphabetHasWhatFits) {
  std::string chinese, korean;
  for (char32_t c = 0; c < 1500; ++c) {
    chinese += unicode::to_utf8(std::u32string{0x4E00 + c});
    korean += unicode::to_utf8(std::u32string{0xAC00 + c, 0xAC00 + (c + 1) % 1500, ' '});
  }
  const TokenizerOptions cased{.lower_case = false};  // Hangul stays in syllables
  const LearnerOptions two_thousand{.vocab_size = 2000, .special_tokens = {"[UNK]"}, .tokenizer = cased};
  EXPECT_EQ(learned(chinese, two_thousand).size(), 1501u) << "every character, where each is a word";
  EXPECT_EQ(learned(chinese, {.vocab_size = 1300, .special_tokens = {"[UNK]"}}).size(), 1300u);
  EXPECT_LE(learned(korean, two_thousand).size(), 2000u) << "fewer, where each has a form that goes on";
  EXPECT_EQ(learned(korean, {.vocab_size = 5000, .special_tokens = {"[UNK]"}, .tokenizer = cased}).size(), 3001u);
  EXPECT_EQ(learned(chinese, {.vocab_size = 2000, .alphabet_limit = 700, .special_tokens = {"[UNK]"}}).size(), 701u);
}

TEST(WordpieceLearner, SaysWhatIsWrong) {
  const auto message = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing thrown";
  };
  EXPECT_EQ(message([] { WordpieceLearner().learn(); }), "wordpiece: the text has no words to learn from");
  EXPECT_EQ(message([] { learned("ab", {.vocab_size = 8, .alphabet_limit = 1000}); }),
            "wordpiece: vocab_size 8 is less than the 9 special tokens and characters; raise it or lower alphabet_limit 1000");
  EXPECT_THROW(WordpieceLearner({.vocab_size = 0}), ConfigError);
}

}  // namespace
}  // namespace capstan::data
