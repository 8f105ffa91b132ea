#include "data/synthetic/noisy_curve.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::data {

double NoisyCurve::truth(double x) { return 2 * std::sin(x) + std::pow(x, .8); }

NoisyCurve NoisyCurve::make(const NoisyCurveOptions& o) {
  require<ConfigError>(o.points >= 2 && o.noise >= 0, "noisy curve: needs two points or more and a noise that is not negative: points ",
                       o.points, ", noise ", o.noise);
  NoisyCurve out;
  Rng places(random_key(o.seed, "noisy curve, x")), noise(random_key(o.seed, "noisy curve, noise"));
  for (std::int64_t i = 0; i < o.points; ++i) out.x.push_back(places.uniform() * kEnd);
  std::ranges::sort(out.x);
  for (const double x : out.x) out.y.push_back(truth(x) + o.noise * noise.normal());
  return out;
}

}  // namespace capstan::data
