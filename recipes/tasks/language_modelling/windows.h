#pragma once
// Windows on a stream of tokens: how an epoch of training is cut, and how an evaluation slides over a text. Places alone, no tokens.

#include <cstdint>

namespace capstan::language_modelling {

/// Tokens [begin, begin + length) are read, and each predicts the one behind it. The first `skipped` predictions do not count.
struct Window {
  std::int64_t begin = 0, length = 0, skipped = 0;
  bool operator==(const Window&) const = default;
};

/// An epoch: windows side by side from an offset that depends on (seed, epoch), as many in every epoch, so that each token stands in one of
/// them but for less than two windows' worth at the ends of the text.
class TrainingWindows {
 public:
  /// Needs tokens > length.
  TrainingWindows(std::int64_t tokens, std::int64_t length, std::uint64_t seed);
  std::int64_t count() const { return count_; }
  std::int64_t offset(std::int64_t epoch) const;
  Window at(std::int64_t epoch, std::int64_t index) const { return {offset(epoch) + index * length_, length_, 0}; }

 private:
  std::int64_t tokens_, length_, count_;
  std::uint64_t seed_;
};

/// An evaluation: windows begin every `stride` tokens, and each counts only the predictions that no window before it has made. All tokens
/// but the first are predicted once, from the second window on with at least length - stride tokens before them.
class SlidingWindows {
 public:
  /// Needs tokens > 1 and 1 <= stride <= length.
  SlidingWindows(std::int64_t tokens, std::int64_t length, std::int64_t stride);
  std::int64_t count() const { return count_; }
  Window at(std::int64_t index) const;

 private:
  std::int64_t tokens_, length_, stride_, count_;
};

}  // namespace capstan::language_modelling
