#include "data/id_map.h"

#include <cstring>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::data {
namespace {

std::uint64_t hash_of(std::string_view name) {
  std::uint64_t h = name.size();
  const char* p = name.data();
  std::size_t n = name.size();
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix_key(h, word);
  }
  std::uint64_t tail = 0;
  for (; n > 0; ++p, --n) tail = tail << 8 | static_cast<unsigned char>(*p);
  return mix_key(h, tail);
}

constexpr std::uint64_t kIndexMask = 0xffffffffu;

}  // namespace

std::string_view IdMap::operator[](std::int64_t index) const {
  require<InternalError>(index >= 0 && index < size(), "id map: index ", index, " of ", size(), " names");
  const auto i = static_cast<std::size_t>(index);
  const auto begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(names_).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(ends_[i] - begin));
}

// The slot that holds `name`, or the free one where it belongs.
std::size_t IdMap::probe(std::string_view name, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const std::uint64_t slot = slots_[at];
    if (slot == 0) return at;
    if (((slot ^ hash) & ~kIndexMask) == 0 && (*this)[static_cast<std::int64_t>(slot & kIndexMask) - 1] == name) return at;
  }
}

void IdMap::grow() {
  slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, 0);
  for (std::int64_t i = 0; i < size(); ++i) {
    const auto hash = hash_of((*this)[i]);
    slots_[probe((*this)[i], hash)] = (hash & ~kIndexMask) | static_cast<std::uint64_t>(i + 1);
  }
}

std::int64_t IdMap::find(std::string_view name) const {
  if (slots_.empty()) return -1;
  return static_cast<std::int64_t>(slots_[probe(name, hash_of(name))] & kIndexMask) - 1;
}

std::int32_t IdMap::add(std::string_view name) {
  if (2 * (ends_.size() + 1) > slots_.size()) grow();
  const auto hash = hash_of(name);
  std::uint64_t& slot = slots_[probe(name, hash)];
  if (slot == 0) {
    require<DataError>(size() < std::numeric_limits<std::int32_t>::max(), "id map: more than ", size(), " different ids");
    names_.append(name);
    ends_.push_back(static_cast<std::int64_t>(names_.size()));
    slot = (hash & ~kIndexMask) | static_cast<std::uint64_t>(size());
  }
  return static_cast<std::int32_t>((slot & kIndexMask) - 1);
}

}  // namespace capstan::data
