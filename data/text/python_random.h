#pragma once
// PythonRandom: the generator of Python's `random` module (Mersenne Twister MT19937), number for number.
//
// For reproducing data that Python programs made, such as the instances of create_pretraining_data. Everything else draws from
// Rng (autograd/core/rng.h), whose streams need no state. The functions have the names of Rng where they mean the same, so that an
// algorithm can be a template over the two; the numbers differ.

#include <array>
#include <cstdint>
#include <span>
#include <utility>

namespace capstan::data {

class PythonRandom {
 public:
  /// As random.Random(seed).
  explicit PythonRandom(std::uint64_t seed);

  std::uint32_t next32();
  /// random(): uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [0, n) by rejection, as randrange(n). n > 0.
  std::uint64_t below(std::uint64_t n);
  /// Uniform in [low, high].
  std::int64_t randint(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  void refill();

  std::array<std::uint32_t, 624> state_;
  std::size_t used_ = 624;
};

}  // namespace capstan::data
