#include "data/synthetic/grammar.h"

#include <array>
#include <string_view>

#include "autograd/core/rng.h"

namespace capstan::data {
namespace {

constexpr std::array<std::string_view, 10> kNouns{"cat", "dog", "bird", "king", "river", "boat", "child", "stone", "tree", "sailor"};
constexpr std::array<std::string_view, 10> kPlurals{"cats",  "dogs",     "birds",  "kings", "rivers",
                                                    "boats", "children", "stones", "trees", "sailors"};
constexpr std::array<std::string_view, 8> kAdjectives{"old", "young", "small", "grey", "quiet", "quick", "green", "proud"};
constexpr std::array<std::string_view, 6> kVerbs{"sees", "follows", "finds", "leaves", "hears", "carries"};
constexpr std::array<std::string_view, 6> kPluralVerbs{"see", "follow", "find", "leave", "hear", "carry"};
constexpr std::array<std::string_view, 4> kEnds{"in the morning", "at night", "by the sea", "behind the hill"};

}  // namespace

std::string grammar_text(std::int64_t sentences, std::uint64_t seed) {
  Rng rng(random_key(seed, "grammar"));
  std::string text;
  const auto one_of = [&](const auto& words) { text += words[rng.below(words.size())]; };
  const auto noun_phrase = [&](bool plural) {
    text += plural ? "the " : rng.below(2) == 0 ? "the " : "a ";
    if (rng.below(2) == 0) {
      one_of(kAdjectives);
      text += ' ';
    }
    one_of(plural ? kPlurals : kNouns);
  };
  for (std::int64_t i = 0; i < sentences; ++i) {
    const bool plural = rng.below(2) == 0;
    noun_phrase(plural);
    text += ' ';
    one_of(plural ? kPluralVerbs : kVerbs);
    text += ' ';
    noun_phrase(rng.below(2) == 0);
    if (rng.below(3) == 0) {
      text += ' ';
      one_of(kEnds);
    }
    text += ".\n";
  }
  return text;
}

}  // namespace capstan::data
