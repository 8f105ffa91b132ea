#pragma once
// Counter-based random numbers: Philox 4x32 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
//
// A random number is a pure function of (key, counter), so there is no generator state to save, share or race for.
// What a number is for goes into the key, where it is used (step, sample, element) into the counter; see `random_key`.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace capstan {

/// Ten rounds, the standard generator: four random words for a 64-bit key and a 128-bit counter.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high = 0) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  std::array<std::uint32_t, 4> c{static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32),
                                 static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0], p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1), static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1,
         static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// Mixes one more word into a key (the finalizer of SplitMix64, a bijection of the sum).
constexpr std::uint64_t mix_key(std::uint64_t key, std::uint64_t word) {
  std::uint64_t z = key + 0x9E3779B97F4A7C15u * (word + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The key of a purpose ("shuffle", "dropout", a parameter's name) under a seed, and of further words (epoch, step, ...).
constexpr std::uint64_t random_key(std::uint64_t seed, std::string_view purpose, std::initializer_list<std::uint64_t> words = {}) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::uint64_t key = mix_key(mix_key(0, seed), hash);
  for (const std::uint64_t w : words) key = mix_key(key, w);
  return key;
}

/// A stream of numbers under one key, counter 0, 1, 2, ... Cheap to make: build one per (purpose, epoch, index).
class Rng {
 public:
  using result_type = std::uint32_t;
  explicit Rng(std::uint64_t key) : key_(key) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xffffffffu; }
  result_type operator()();
  std::uint64_t next64() {
    const std::uint64_t high = (*this)();
    return high << 32 | (*this)();
  }
  /// Uniform in [0, n) without bias (Lemire's multiply and reject). n > 0.
  std::uint64_t below(std::uint64_t n);
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next64() >> 11) * 0x1.0p-53; }
  /// Uniform in [low, high). Not inline: compiler options that fuse the product and the sum would change its last bit.
  double uniform(double low, double high);
  /// Standard normal (Box and Muller; two uniforms a number).
  double normal();
  /// Fisher and Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t key_, counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace capstan
