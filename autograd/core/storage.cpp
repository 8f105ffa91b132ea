#include "autograd/core/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace capstan {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Four size classes per power of two: at most a quarter of a block is lost.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 256) return 256;
  const std::size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

class Arena {
 public:
  struct Block {
    std::byte* data;
    std::size_t size;  ///< of its own class
  };

  /// A block of the class `size`, or an unused one of at most twice that: where sizes differ from step to step (sequences of all lengths),
  /// each class would come to hold as much as the largest step needs.
  Block take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    auto unused = unused_.lower_bound(size);
    while (unused != unused_.end() && unused->second.empty()) ++unused;
    Block block{};
    if (unused == unused_.end() || unused->first > 2 * size) {
      block = {map(size), size};
      stats_.reserved += size;
    } else {
      block = {unused->second.back(), unused->first};
      unused->second.pop_back();
    }
    stats_.live += block.size;
    stats_.handed_out += size;
    stats_.peak_live = std::max(stats_.peak_live, stats_.live);
    return block;
  }

  void give_back(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    unused_[size].push_back(block);
    stats_.live -= size;
  }

  void release_unused() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : unused_) {
      for (std::byte* block : blocks) unmap(block, size);
      stats_.reserved -= size * blocks.size();
      blocks.clear();
    }
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_live = stats_.live;
  }

 private:
  static std::byte* map(std::size_t size) {
    const std::size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    auto* block = static_cast<std::byte*>(::operator new(size, std::align_val_t(alignment)));
    if (size >= kHugePage) ::madvise(block, size, MADV_HUGEPAGE);  // advice only: a refusal costs speed, not correctness
    return block;
  }
  static void unmap(std::byte* block, std::size_t size) {
    ::operator delete(block, std::align_val_t(size >= kHugePage ? kHugePage : kAlignment));
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> unused_;
  MemoryStats stats_;
};

// Never destroyed: a Storage in a static object may outlive any arena with a destructor.
Arena& arena() {
  static Arena* const instance = new Arena;
  return *instance;
}

}  // namespace

Storage::Storage(std::size_t bytes) : bytes_(bytes) {
  const Arena::Block block = arena().take(size_class(bytes));
  block_ = std::shared_ptr<std::byte>(block.data, [size = block.size](std::byte* data) { arena().give_back(data, size); });
}

MemoryStats memory_stats() { return arena().stats(); }
void reset_peak_memory() { arena().reset_peak(); }
void release_unused_memory() { arena().release_unused(); }

}  // namespace capstan
