#include "recipes/tasks/text_classification/length_order.h"

#include <algorithm>
#include <numeric>

#include "autograd/core/rng.h"
#include "data/sampler.h"

namespace capstan::text_classification {
namespace {

constexpr std::int64_t kStretch = 50;  // batches that are sorted together
constexpr std::size_t kEpochs = 3;     // orders kept: loaders work ahead into the next epoch

}  // namespace

std::vector<std::int64_t> by_like_lengths(std::span<const std::int64_t> lengths, std::int64_t batch_size, std::uint64_t seed,
                                          std::uint64_t epoch) {
  const auto size = static_cast<std::int64_t>(lengths.size()), stretch = kStretch * batch_size;
  std::vector<std::int64_t> order = data::shuffled(size, seed, epoch);
  for (std::int64_t first = 0; first < size; first += stretch)
    std::stable_sort(order.begin() + first, order.begin() + std::min(size, first + stretch), [&](std::int64_t a, std::int64_t b) {
      return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
    });
  std::vector<std::int64_t> batches(static_cast<std::size_t>(size / batch_size)), out;
  std::iota(batches.begin(), batches.end(), 0);
  Rng rng(random_key(seed, "batches of like lengths", {epoch}));
  rng.shuffle(std::span(batches));
  for (const std::int64_t b : batches) out.insert(out.end(), order.begin() + b * batch_size, order.begin() + (b + 1) * batch_size);
  out.insert(out.end(), order.begin() + size / batch_size * batch_size, order.end());
  return out;
}

std::vector<std::int64_t> LengthOrder::samples(std::int64_t epoch, std::int64_t first, std::int64_t count) const {
  Order order;
  {
    const std::lock_guard lock(mutex_);
    Order& kept = kept_[epoch];
    if (!kept)
      kept = std::make_shared<const std::vector<std::int64_t>>(
          by_like_lengths(lengths_, batch_size_, seed_, static_cast<std::uint64_t>(epoch)));
    order = kept;
    if (kept_.size() > kEpochs) kept_.erase(kept_.begin());
  }
  return {order->begin() + first, order->begin() + first + count};
}

}  // namespace capstan::text_classification
