#pragma once
// LengthOrder: the samples of an epoch in batches of like lengths, for models that pad. A batch is as long as its longest text, so texts of
// all lengths together would mostly be padding.
//
// Each epoch is a new permutation, cut into stretches of many batches; a stretch is sorted by length, so that what shares a batch still
// changes from epoch to epoch, and the batches come in random order. A function of (seed, epoch) alone.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace capstan::text_classification {

/// The order of one epoch. An incomplete batch is the last one.
std::vector<std::int64_t> by_like_lengths(std::span<const std::int64_t> lengths, std::int64_t batch_size, std::uint64_t seed,
                                          std::uint64_t epoch);

/// Keeps the orders of the newest epochs. Thread-safe.
class LengthOrder {
 public:
  LengthOrder(std::vector<std::int64_t> lengths, std::int64_t batch_size, std::uint64_t seed)
      : lengths_(std::move(lengths)), batch_size_(batch_size), seed_(seed) {}
  /// At the places first .. first + count - 1.
  std::vector<std::int64_t> samples(std::int64_t epoch, std::int64_t first, std::int64_t count) const;

 private:
  using Order = std::shared_ptr<const std::vector<std::int64_t>>;

  std::vector<std::int64_t> lengths_;
  std::int64_t batch_size_;
  std::uint64_t seed_;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, Order> kept_;
};

}  // namespace capstan::text_classification
