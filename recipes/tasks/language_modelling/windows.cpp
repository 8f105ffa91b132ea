#include "recipes/tasks/language_modelling/windows.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::language_modelling {

TrainingWindows::TrainingWindows(std::int64_t tokens, std::int64_t length, std::uint64_t seed)
    : tokens_(tokens), length_(length), count_(std::max<std::int64_t>(1, (tokens - length) / length)), seed_(seed) {
  require<ArgumentError>(length >= 1 && tokens > length, "training windows: there must be more tokens than a window has: tokens ", tokens,
                         ", window ", length);
}

std::int64_t TrainingWindows::offset(std::int64_t epoch) const {
  const std::int64_t room = std::min(length_, tokens_ - count_ * length_);  // behind the last window stands the token that it predicts
  return static_cast<std::int64_t>(
      Rng(random_key(seed_, "window offset", {static_cast<std::uint64_t>(epoch)})).below(static_cast<std::uint64_t>(room)));
}

SlidingWindows::SlidingWindows(std::int64_t tokens, std::int64_t length, std::int64_t stride)
    : tokens_(tokens), length_(length), stride_(stride), count_(1 + std::max<std::int64_t>(0, tokens - 1 - length + stride - 1) / stride) {
  require<ArgumentError>(tokens > 1 && stride >= 1 && stride <= length,
                         "sliding windows: needs two tokens, and a stride between 1 and the window: tokens ", tokens, ", stride ", stride,
                         ", window ", length);
}

Window SlidingWindows::at(std::int64_t index) const {
  const std::int64_t begin = index * stride_;
  return {begin, std::min(length_, tokens_ - 1 - begin), index == 0 ? 0 : length_ - stride_};
}

}  // namespace capstan::language_modelling
