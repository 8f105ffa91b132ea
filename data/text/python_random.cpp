#include "data/text/python_random.h"

#include <bit>

namespace capstan::data {

PythonRandom::PythonRandom(std::uint64_t seed) {
  const std::size_t n = state_.size();
  state_[0] = 19650218;
  const auto scramble = [&](std::size_t i) { return state_[i - 1] ^ (state_[i - 1] >> 30); };
  for (std::size_t i = 1; i < n; ++i) state_[i] = 1812433253u * scramble(i) + static_cast<std::uint32_t>(i);

  // The seed as little-endian 32-bit words, without leading zero words but at least one.
  const std::array<std::uint32_t, 2> words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  const std::size_t count = words[1] != 0 ? 2 : 1;
  std::size_t i = 1, word = 0;
  const auto step = [&] {
    if (++i < n) return;
    state_[0] = state_[n - 1];
    i = 1;
  };
  for (std::size_t k = 0; k < n; ++k) {
    state_[i] = (state_[i] ^ (scramble(i) * 1664525u)) + words[word] + static_cast<std::uint32_t>(word);
    step();
    word = (word + 1) % count;
  }
  for (std::size_t k = 0; k + 1 < n; ++k) {
    state_[i] = (state_[i] ^ (scramble(i) * 1566083941u)) - static_cast<std::uint32_t>(i);
    step();
  }
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  const std::size_t n = state_.size(), shift = 397;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % n] & 0x7fffffffu);
    state_[i] = state_[(i + shift) % n] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0u);
  }
  used_ = 0;
}

std::uint32_t PythonRandom::next32() {
  if (used_ == state_.size()) refill();
  std::uint32_t y = state_[used_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double PythonRandom::uniform() {
  const std::uint32_t high = next32() >> 5, low = next32() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

std::uint64_t PythonRandom::below(std::uint64_t n) {
  const int bits = static_cast<int>(std::bit_width(n));
  for (;;) {
    std::uint64_t drawn;
    if (bits <= 32) {
      drawn = next32() >> (32 - bits);
    } else {  // the low word comes first
      const std::uint64_t low = next32();
      drawn = static_cast<std::uint64_t>(next32() >> (64 - bits)) << 32 | low;
    }
    if (drawn < n) return drawn;
  }
}

}  // namespace capstan::data
