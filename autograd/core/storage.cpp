#include "autograd/core/storage.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>
#include <vector>

namespace capstan {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = std::size_t{1} << 20;  // blocks from here on are cut to size

#ifdef __SANITIZE_ADDRESS__
constexpr bool kSharesRegions = false;  // so that what is written beyond a block is seen
#else
constexpr bool kSharesRegions = true;
#endif

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Four size classes per power of two: at most a quarter of a small block is lost.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 256) return 256;
  if (kSharesRegions && bytes >= kLarge) return round_up(bytes, kAlignment);
  return round_up(bytes, std::bit_floor(bytes - 1) / 4);
}

// Addresses asked of the system at a time. A page takes memory when it is first written to, so many addresses cost nothing, and pieces do
// not end at seams; where addresses are limited (ulimit -v) they are left to others.
std::size_t region_size() {
  rlimit limit{};
  const bool is_limited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return std::size_t{is_limited ? 64u : 1024u} << 20;
}

// Memory of the system, from which pieces of any size are cut. Pieces that are given back grow together with free neighbours; a request
// gets the smallest free one that it fits in, so that the untouched end of a region, the largest, is used last.
class Regions {
 public:
  std::byte* take(std::size_t size) {
    auto found = by_size_.lower_bound({size, nullptr});
    if (found == by_size_.end()) {
      grow(size);
      found = by_size_.lower_bound({size, nullptr});
    }
    const auto [free, piece] = *found;
    erase(free_.find(piece));
    if (free > size) insert(piece + size, free - size);
    return piece;
  }

  void give_back(std::byte* piece, std::size_t size) {
    auto next = free_.lower_bound(piece);
    if (next != free_.end() && piece + size == next->first) {
      size += next->second;
      next = erase(next);
    }
    if (next != free_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == piece) {
        piece = previous->first;
        size += previous->second;
        erase(previous);
      }
    }
    insert(piece, size);
  }

  /// Gives the whole huge pages that are free back to the system.
  void release_unused() {
    const auto pieces = std::exchange(free_, {});
    by_size_.clear();
    for (const auto& [piece, size] : pieces) {
      std::byte *const end = piece + size, *const first = page_from(piece), *const last = page_from(end - (kHugePage - 1));
      if (first >= last) {
        insert(piece, size);
        continue;
      }
      ::munmap(first, static_cast<std::size_t>(last - first));
      mapped_ -= static_cast<std::size_t>(last - first);
      if (piece < first) insert(piece, static_cast<std::size_t>(first - piece));
      if (last < end) insert(last, static_cast<std::size_t>(end - last));
    }
  }

  std::size_t mapped() const { return mapped_; }

 private:
  using Pieces = std::map<std::byte*, std::size_t>;

  /// The first huge page that begins at `at` or behind it.
  static std::byte* page_from(std::byte* at) {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    return at + (round_up(address, kHugePage) - address);
  }

  void insert(std::byte* piece, std::size_t size) {
    free_.emplace(piece, size);
    by_size_.emplace(size, piece);
  }
  Pieces::iterator erase(Pieces::iterator piece) {
    by_size_.erase({piece->second, piece->first});
    return free_.erase(piece);
  }

  void grow(std::size_t size) {
    for (const std::size_t bytes : {round_up(size, region_size()), round_up(size, kHugePage)}) {  // less where that is not to be had
      const std::size_t with_margin = bytes + kHugePage;
      void* const all = ::mmap(nullptr, with_margin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (all == MAP_FAILED) continue;
      auto *const begin = static_cast<std::byte*>(all), *const region = page_from(begin);
      if (region > begin) ::munmap(begin, static_cast<std::size_t>(region - begin));
      ::munmap(region + bytes, with_margin - bytes - static_cast<std::size_t>(region - begin));
      ::madvise(region, bytes, MADV_HUGEPAGE);  // advice only: a refusal costs speed, not correctness
      mapped_ += bytes;
      return give_back(region, bytes);
    }
    throw std::bad_alloc();
  }

  Pieces free_;                                           // neighbours never touch
  std::set<std::pair<std::size_t, std::byte*>> by_size_;  // the same
  std::size_t mapped_ = 0;
};

class Arena {
 public:
  struct Block {
    std::byte* data;
    std::size_t size;  ///< as it must be given back
  };

  /// A block of the class `size`. A small one may be an unused one of at most twice that: where sizes differ from step to step (sequences
  /// of all lengths), each class would come to hold as much as the largest step needs.
  Block take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    Block block{nullptr, size};
    if (is_cut(size)) {
      block.data = regions_.take(size);
    } else {
      auto unused = unused_.lower_bound(size);
      while (unused != unused_.end() && unused->second.empty()) ++unused;
      if (unused == unused_.end() || unused->first > 2 * size) {
        block.data = map(size);
      } else {
        block = {unused->second.back(), unused->first};
        unused->second.pop_back();
      }
    }
    stats_.live += block.size;
    stats_.handed_out += size;
    stats_.peak_live = std::max(stats_.peak_live, stats_.live);
    return block;
  }

  void give_back(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (is_cut(size))
      regions_.give_back(block, size);
    else
      unused_[size].push_back(block);
    stats_.live -= size;
  }

  void release_unused() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : unused_) {
      for (std::byte* block : blocks) unmap(block, size);
      blocks.clear();
    }
    regions_.release_unused();
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    MemoryStats stats = stats_;
    stats.reserved += regions_.mapped();
    return stats;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_live = stats_.live;
  }

 private:
  static bool is_cut(std::size_t size) { return kSharesRegions && size >= kLarge; }

  std::byte* map(std::size_t size) {
    if (kSharesRegions) return regions_.take(size);
    auto* const block = static_cast<std::byte*>(::operator new(size, std::align_val_t(kAlignment)));
    stats_.reserved += size;
    return block;
  }
  void unmap(std::byte* block, std::size_t size) {
    if (kSharesRegions) return regions_.give_back(block, size);
    ::operator delete(block, std::align_val_t(kAlignment));
    stats_.reserved -= size;
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> unused_;  // small blocks, by class
  Regions regions_;
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
