#pragma once
// Primitives kept by everything that oneDNN generates code for. One cache a thread: primitives hold the pointers they run on.

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "autograd/kernels/onednn/engine.h"

namespace capstan::kernels::onednn {

/// A problem as plain numbers without padding, so that comparing and hashing are loops.
template <std::size_t N>
using PrimitiveKey = std::array<std::int64_t, N>;

/// Key: a PrimitiveKey.
template <class Key, class Prepared>
class PrimitiveCache {
 public:
  /// The primitive of a key; `prepare()` makes it if there is none. References stay valid until the next call.
  template <class Prepare>
  Prepared& get(const Key& key, const Prepare& prepare) {
    const auto found = cache_.find(key);
    if (found != cache_.end()) return found->second;
    if (cache_.size() >= kCapacity) cache_.clear();
    require_room_for_code();
    return cache_.emplace(key, prepare()).first->second;
  }

 private:
  static constexpr std::size_t kCapacity = 1024;  // problems of ever new sizes must not fill the memory

  struct Hash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t h = 0;
      for (const std::int64_t v : key) h = (h ^ static_cast<std::uint64_t>(v)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
      return static_cast<std::size_t>(h);
    }
  };
  std::unordered_map<Key, Prepared, Hash> cache_;
};

}  // namespace capstan::kernels::onednn
