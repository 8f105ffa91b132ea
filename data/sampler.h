#pragma once
// Samplers: which example comes when, and which items are drawn as negatives. Each is a pure function of what it is given:
// a (seed, epoch) pair, or an Rng whose key names seed, epoch and index. So worker count, resume and process count change nothing.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/core/rng.h"

namespace capstan::data {

/// A permutation of 0 .. size - 1, new in every epoch.
std::vector<std::int64_t> shuffled(std::int64_t size, std::uint64_t seed, std::uint64_t epoch);

/// Which of `size` samples are set aside, always the same for one seed, drawn without replacement. Both lists ascend.
struct HeldOut {
  std::vector<std::int64_t> kept, held;
};
/// `amount` below 1 is a share of the samples, rounded, of which there is at least one unless it is 0; from 1 on their number. Throws
/// ConfigError unless that is whole and below size.
HeldOut hold_out(std::int64_t size, double amount, std::uint64_t seed);

/// One draw with replacement, uniform over 0 .. size - 1: the `position`-th of an epoch.
std::int64_t drawn(std::int64_t size, std::uint64_t seed, std::uint64_t epoch, std::uint64_t position);

/// Fills `out` with draws, uniform over the integers low .. high - 1 that are not in `excluded` (sorted, without duplicates, all
/// within the range). One random number a draw, however long the list is. DataError if the list covers the whole range.
void draw_excluding(Rng& rng, std::int64_t low, std::int64_t high, std::span<const std::int32_t> excluded, std::span<std::int32_t> out);

/// Draws index i with probability proportional to a weight, with replacement: the first i whose cumulative share is above u.
/// Double precision; a guide table gives the start of the search, so a draw takes constant time on average.
class DiscreteSampler {
 public:
  /// Weights are finite, >= 0 and not all 0. Throws DataError.
  explicit DiscreteSampler(std::span<const double> weights);
  /// Weights support^alpha: 0 uniform (also for support 0), 1 popularity.
  static DiscreteSampler by_support(std::span<const std::int64_t> support, double alpha);

  /// The index for u in [0, 1): the number of cumulative shares <= u.
  std::int32_t at(double u) const;
  std::int32_t operator()(Rng& rng) const { return at(rng.uniform()); }
  std::int64_t size() const { return static_cast<std::int64_t>(cumulative_.size()); }
  std::span<const double> cumulative() const { return cumulative_; }

 private:
  std::vector<double> cumulative_;
  std::vector<std::int32_t> guide_;  // guide_[k] = at(k / size)
};

}  // namespace capstan::data
