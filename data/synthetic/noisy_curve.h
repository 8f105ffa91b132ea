#pragma once
// A synthetic function of one variable, of which noisy values are known at some places: y = 2 sin x + x^0.8 + noise, x uniform in [0, 5)
// and sorted, the noise normal (Zhang, Lipton, Li, Smola, "Dive into deep learning", section on attention pooling).

#include <cstdint>
#include <vector>

namespace capstan::data {

struct NoisyCurveOptions {
  std::int64_t points = 50;
  double noise = 0.5;  ///< standard deviation
  std::uint64_t seed = 1;
};

struct NoisyCurve {
  static constexpr double kEnd = 5;  ///< x is in [0, kEnd)
  std::vector<double> x, y;          ///< x rises

  /// The function without noise, at x >= 0.
  static double truth(double x);
  /// Throws ConfigError for fewer than two points or a negative noise.
  static NoisyCurve make(const NoisyCurveOptions& options);
};

}  // namespace capstan::data
