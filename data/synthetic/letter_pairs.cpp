#include "data/synthetic/letter_pairs.h"

#include <string>

#include "autograd/core/rng.h"

namespace capstan::data {

ParallelText letter_pairs(const LetterPairs& o) {
  ParallelText out{.source_path = "generated", .target_path = "generated", .source = {}, .target = {}, .lines = {}};
  Rng rng(random_key(o.seed, "letter pairs"));
  for (std::int64_t line = 1; line <= o.count; ++line) {
    const auto length = o.min_length + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(o.max_length - o.min_length + 1)));
    std::string text;
    for (std::int64_t i = 0; i < length; ++i) {
      if (i > 0) text.push_back(' ');
      text.push_back(static_cast<char>('a' + static_cast<int>(rng.below(static_cast<std::uint64_t>(o.letters)))));
    }
    out.target.push_back(o.reverse ? std::string(text.rbegin(), text.rend()) : text);
    out.source.push_back(std::move(text));
    out.lines.push_back(line);
  }
  return out;
}

}  // namespace capstan::data
