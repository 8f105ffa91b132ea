#pragma once
// Parameters by formula, as tests/goldens/make_vit.py has them: nothing need be stored, and no two weights are alike.

#include <cmath>
#include <string>

#include "nn/parameter_store.h"

namespace capstan::vit {

/// Element i of parameter number t is .15 sin(.7 i + .01 i^2 + .3 t + .1); gains of normalisations have 1 more. Statistics are not counted.
inline void fill_by_chirp(const nn::ParameterStore& store) {
  int t = 0;
  for (const Parameter& p : store.parameters()) {
    if (!p.trainable()) continue;
    const bool gain = p.name().find("norm") != std::string::npos && p.name().ends_with("weight");
    dispatch_floating("test", p.value().dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t n = 0; n < p.value().numel(); ++n) {
        const auto i = static_cast<double>(n);
        const double v = .15 * std::sin(.7 * i + .01 * i * i + .3 * t + .1) + (gain ? 1 : 0);
        if constexpr (!std::is_same_v<T, bfloat16>) p.value().data<T>()[n] = static_cast<T>(v);
      }
    });
    ++t;
  }
}

}  // namespace capstan::vit
