// The specification of kernels/indexing.h.

#include "autograd/kernels/indexing.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
void GatherGradient<T>::reference(std::int64_t outer, std::int64_t size, std::int64_t count, std::int64_t inner,
                                  const std::int64_t* indices, const T* dy, T* dx) {
  std::vector<Compute<T>> sums(static_cast<std::size_t>(outer * size * inner));
  for (std::int64_t a = 0; a < outer; ++a)
    for (std::int64_t n = 0; n < count; ++n)
      for (std::int64_t b = 0; b < inner; ++b) {
        const std::int64_t i = (a * count + n) * inner + b;
        sums[static_cast<std::size_t>((a * size + indices[i]) * inner + b)] += Compute<T>{dy[i]};
      }
  std::ranges::transform(sums, dx, [](Compute<T> v) { return convert<T>(v); });
}

template <class T>
void ArgExtreme<T>::reference(Extreme which, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, std::int64_t* index) {
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

template GatherGradient<float>::Signature GatherGradient<float>::reference;
template GatherGradient<bfloat16>::Signature GatherGradient<bfloat16>::reference;
template GatherGradient<double>::Signature GatherGradient<double>::reference;
template ArgExtreme<float>::Signature ArgExtreme<float>::reference;
template ArgExtreme<bfloat16>::Signature ArgExtreme<bfloat16>::reference;
template ArgExtreme<double>::Signature ArgExtreme<double>::reference;

}  // namespace capstan::kernels
