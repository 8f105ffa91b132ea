#include "autograd/kernels/rotary.h"

#include <algorithm>

#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels {

template <class T>
void Rotary<T>::fast(const T* x, const Compute<T>* cosines, const Compute<T>* sines, bool inverse, T* y, const RotaryShape& s) {
  const std::int64_t half = s.width / 2, row = s.heads * s.width;
  const float sign = inverse ? -1.0f : 1.0f;
  const auto turn = [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t token = first; token < last; ++token) {
      const float *const cosine = cosines + token % s.tokens * half, *const sine = sines + token % s.tokens * half;
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const T* const in = x + token * row + h * s.width;
        T* const out = y + token * row + h * s.width;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t i = 0; i < half; ++i) {
          const float a = static_cast<float>(in[i]), b = static_cast<float>(in[half + i]), turned = sign * sine[i];
          store(out[i], a * cosine[i] - b * turned);
          store(out[half + i], b * cosine[i] + a * turned);
        }
      }
    }
  };
  parallel_ranges(s.batch * s.tokens, kGrain / std::max<std::int64_t>(row, 1) + 1, turn, 1);
}

template Rotary<float>::Signature Rotary<float>::fast;
template Rotary<bfloat16>::Signature Rotary<bfloat16>::fast;

}  // namespace capstan::kernels
