#pragma once
// Reference kernels of indexing.h: plain loops.

#include <cmath>
#include <cstdint>

#include "autograd/kernels/indexing.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels::reference {

template <class T>
void arg_extreme(Extreme which, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index) {
  for (std::int64_t a = 0; a < outer; ++a)
    for (std::int64_t b = 0; b < inner; ++b) {
      std::int64_t best = 0;
      const auto at = [&](std::int64_t r) { return Compute<T>{x[(a * count + r) * inner + b]}; };
      for (std::int64_t r = 1; r < count && !std::isnan(at(best)); ++r) {
        const bool better = which == Extreme::largest ? at(r) > at(best) : at(r) < at(best);
        if (better || std::isnan(at(r))) best = r;
      }
      index[a * inner + b] = best;
    }
}

}  // namespace capstan::kernels::reference
