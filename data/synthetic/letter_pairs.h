#pragma once
// Pairs of texts that anybody can translate: letters with blanks between, and the same ones copied or in reverse. What a network that
// writes one sequence while it reads another must learn first, without a download.

#include <cstdint>

#include "data/text/parallel_text.h"

namespace capstan::data {

struct LetterPairs {
  std::int64_t count = 1000;
  std::int64_t letters = 20;  ///< that there are, from a on; at most 26
  std::int64_t min_length = 3, max_length = 10;
  bool reverse = true;  ///< else copied
  std::uint64_t seed = 1;
};

/// The same for the same options.
ParallelText letter_pairs(const LetterPairs& options);

}  // namespace capstan::data
