#pragma once
// Storage: a reference-counted, 64-byte aligned block of bytes from a caching arena.
//
// Training asks for the same sizes in every step. The arena keeps what is freed and hands it out again, so that after the first step no
// page is mapped or faulted anew: small blocks in lists by size class, large ones cut from regions of huge pages, where they grow together
// again. It is thread-safe and never changes a number: the content of a new block is undefined, and every op writes all of its output.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace capstan {

class Storage {
 public:
  Storage() = default;  ///< no memory
  explicit Storage(std::size_t bytes);

  std::byte* data() const { return block_.get(); }
  std::size_t bytes() const { return bytes_; }
  explicit operator bool() const { return block_ != nullptr; }
  /// True if this handle is the only one: its holder may then write in place.
  bool unique() const { return block_.use_count() == 1; }
  bool same_as(const Storage& o) const { return block_ == o.block_; }

 private:
  std::shared_ptr<std::byte> block_;
  std::size_t bytes_ = 0;
};

/// Byte counts of the arena. "live" blocks are held by a Storage, "reserved" are addresses mapped for them and for others to come;
/// "handed_out" counts every block again each time it is handed out, since the program began.
struct MemoryStats {
  std::size_t live = 0, peak_live = 0, reserved = 0, handed_out = 0;
};
MemoryStats memory_stats();
/// Starts a new measurement of peak_live at the present live bytes.
void reset_peak_memory();
/// Gives unused memory back to the system: all but parts of pages that hold a block.
void release_unused_memory();

}  // namespace capstan
