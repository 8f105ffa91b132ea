#include "data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/core/error.h"

namespace capstan::data {

std::vector<std::int64_t> shuffled(std::int64_t size, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Rng rng(random_key(seed, "shuffle", {epoch}));
  rng.shuffle(std::span(order));
  return order;
}

HeldOut hold_out(std::int64_t size, double amount, std::uint64_t seed) {
  require<ConfigError>(amount >= 0 && (amount < 1 || amount == std::floor(amount)),
                       "hold out: must be a share below 1 or a whole number of samples, got ", amount);
  const double wanted = amount > 0 && amount < 1 ? std::max(1.0, std::round(amount * static_cast<double>(size))) : amount;
  require<ConfigError>(wanted == 0 || wanted < static_cast<double>(size), "hold out: must be below the number of samples, got ", wanted,
                       " of ", size);
  const auto count = static_cast<std::int64_t>(wanted);
  std::vector<std::int64_t> order = shuffled(size, seed, 0);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(count);
  HeldOut out{.kept = {middle, order.end()}, .held = {order.begin(), middle}};
  std::ranges::sort(out.kept);
  std::ranges::sort(out.held);
  return out;
}

std::int64_t drawn(std::int64_t size, std::uint64_t seed, std::uint64_t epoch, std::uint64_t position) {
  require<DataError>(size > 0, "sampler: nothing to draw from");
  return static_cast<std::int64_t>(Rng(random_key(seed, "draw", {epoch, position})).below(static_cast<std::uint64_t>(size)));
}

void draw_excluding(Rng& rng, std::int64_t low, std::int64_t high, std::span<const std::int32_t> excluded, std::span<std::int32_t> out) {
  const auto left = high - low - static_cast<std::int64_t>(excluded.size());
  require<DataError>(left > 0, "negative sampler: all items ", low, " .. ", high - 1, " are excluded");
  for (auto& drawn_item : out) {
    // The draw is a rank among the items left; excluded[k] has excluded[k] - low - k of them below it, a number that grows with k.
    const auto rank = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(left)));
    std::int64_t first = 0, last = static_cast<std::int64_t>(excluded.size());
    while (first < last) {
      const auto middle = (first + last) / 2;
      if (excluded[static_cast<std::size_t>(middle)] - low - middle <= rank) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    drawn_item = static_cast<std::int32_t>(low + rank + first);
  }
}

DiscreteSampler::DiscreteSampler(std::span<const double> weights) {
  cumulative_.reserve(weights.size());
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    require<DataError>(std::isfinite(weights[i]) && weights[i] >= 0, "discrete sampler: weight ", i, " is ", weights[i]);
    cumulative_.push_back(sum += weights[i]);
  }
  require<DataError>(sum > 0 && std::isfinite(sum), "discrete sampler: the ", weights.size(), " weights sum to ", sum);
  // Divided, not multiplied by 1 / sum: all entries that equal the sum become exactly 1, so at(u < 1) never runs past an item
  // of weight > 0.
  for (auto& c : cumulative_) c /= sum;

  guide_.resize(weights.size());
  std::size_t i = 0;
  for (std::size_t k = 0; k < guide_.size(); ++k) {
    while (cumulative_[i] <= static_cast<double>(k) / static_cast<double>(guide_.size())) ++i;
    guide_[k] = static_cast<std::int32_t>(i);
  }
}

DiscreteSampler DiscreteSampler::by_support(std::span<const std::int64_t> support, double alpha) {
  std::vector<double> weights(support.size());
  std::transform(support.begin(), support.end(), weights.begin(), [&](auto n) { return std::pow(static_cast<double>(n), alpha); });
  return DiscreteSampler(weights);
}

std::int32_t DiscreteSampler::at(double u) const {
  const auto n = static_cast<double>(guide_.size());
  auto k = std::min(static_cast<std::size_t>(u * n), guide_.size() - 1);
  if (k > 0 && u < static_cast<double>(k) / n) --k;  // u * n was rounded up
  auto i = static_cast<std::size_t>(guide_[k]);
  while (cumulative_[i] <= u) ++i;
  return static_cast<std::int32_t>(i);
}

}  // namespace capstan::data
