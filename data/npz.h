#pragma once
// NPZ: NumPy's archive of named arrays, a zip file with a NAME.npy (npy.h) for each. google's ViT weights are such files.
//
// Reading maps the file and looks at every entry's header before any array is read: entries are stored or deflated, of one name each, not
// encrypted, and as long as their shape says; what an entry claims to unpack to cannot be more than its packed bytes can hold. An array is
// unpacked, and its checksum verified, when it is asked for. Names may hold slashes. Errors: DataError that names file and entry.
// The zip library is libzip, which only npz.cpp names.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/npy.h"
#include "data/safetensors.h"

namespace capstan::data {

struct NpzEntry {
  std::string name;  ///< without ".npy"
  NpyHeader header;
  std::uint64_t stored_bytes = 0;  ///< of the entry as it lies in the file
};

/// Not for two threads at once.
class NpzReader {
 public:
  explicit NpzReader(const std::string& path);
  ~NpzReader();
  NpzReader(NpzReader&&) noexcept;
  NpzReader& operator=(NpzReader&&) noexcept;

  const std::string& path() const;
  /// In the order of the archive.
  const std::vector<NpzEntry>& entries() const { return entries_; }
  std::vector<std::pair<std::string, Spec>> tensors() const;  ///< in the order of the names
  /// Throws DataError if there is no such array, or its bytes are damaged.
  Tensor read(std::string_view name) const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
  std::vector<NpzEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

enum class NpzPacking { stored, deflated };

/// Replaces `path`; the same tensors give the same bytes. Throws DataError if there are none, or for a name that stands
/// twice or is empty.
void write_npz(const std::string& path, std::span<const NamedTensor> tensors, NpzPacking packing = NpzPacking::stored);

}  // namespace capstan::data
