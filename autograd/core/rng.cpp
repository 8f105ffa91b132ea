#include "autograd/core/rng.h"

#include <cmath>
#include <numbers>

namespace capstan {

Rng::result_type Rng::operator()() {
  if (used_ == 4) {
    block_ = philox(key_, counter_++);
    used_ = 0;
  }
  return block_[used_++];
}

std::uint64_t Rng::below(std::uint64_t n) {
  __extension__ using wide = unsigned __int128;
  wide product = static_cast<wide>(next64()) * n;
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t threshold = (0 - n) % n;  // 2^64 mod n values would be counted once too often
    while (static_cast<std::uint64_t>(product) < threshold) product = static_cast<wide>(next64()) * n;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace capstan
