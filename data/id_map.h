#pragma once
// IdMap: the names that a file gives to users or items, and their dense indices 0, 1, 2, ... in order of insertion.
// All names lie in one string, so a million ids cost a few allocations; lookup is one probe of a flat hash table.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

class IdMap {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  /// The name of an index in [0, size). Valid until the next add().
  std::string_view operator[](std::int64_t index) const;
  /// The index of a name, -1 if it is not known.
  std::int64_t find(std::string_view name) const;
  /// The index of a name, which is added if it is new. DataError beyond 2^31 - 1 names.
  std::int32_t add(std::string_view name);

  bool operator==(const IdMap& o) const { return names_ == o.names_ && ends_ == o.ends_; }

  // The two arrays that make up the map, for storage: all names one after the other, and where each ends.
  const std::string& names() const { return names_; }
  const std::vector<std::int64_t>& ends() const { return ends_; }

 private:
  std::size_t probe(std::string_view name, std::uint64_t hash) const;
  void grow();

  std::string names_;
  std::vector<std::int64_t> ends_;
  std::vector<std::uint64_t> slots_;  // upper half: of the hash; lower half: index + 1, 0 = free. Size is a power of two.
};

}  // namespace capstan::data
