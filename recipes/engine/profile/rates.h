#pragma once
// How fast this process computes and moves at best, measured in it, and the least time that some work takes at these rates (the roofline
// of Williams et al., 2009).

#include <array>
#include <cstddef>

#include "autograd/core/dtype.h"
#include "autograd/core/profile.h"

namespace capstan::engine {

/// GFLOP/s of one large matrix product as the ops run it, the median of several after a warm-up.
double matmul_rate(DType precision);

struct Rates {
  static constexpr std::size_t kSizes = 7;
  static constexpr double kSmallest = 65536, kRatio = 4;  ///< bytes: 64 KiB, 256 KiB ... 256 MiB

  double flops = 0;                       ///< a second, of a large matrix product
  std::array<double, kSizes> bytes = {};  ///< a second, of a copy that reads and writes so many bytes together: caches are faster

  /// The least time of work done in one go: whichever of its products and its bytes takes longer.
  double seconds(const profile::Work& work) const;
  double bytes_per_second(double of_bytes) const;  ///< between the measured sizes on a straight line over their logarithms
};
Rates measure_rates(DType precision);

}  // namespace capstan::engine
