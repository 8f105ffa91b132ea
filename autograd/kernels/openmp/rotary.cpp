#include "autograd/kernels/rotary.h"

#include <algorithm>

#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels {

template <class T>
void Rotary<T>::fast(const T* x, const Compute<T>* cosines, const Compute<T>* sines, bool inverse, T* y, const RotaryShape& s) {
  const std::int64_t half = s.width / 2, row = s.heads * s.width;
  const float sign = inverse ? -1.0f : 1.0f;
  const auto turn = [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t token = first; token < last; ++token) {
      const float *const cosine = cosines + token % s.tokens * half, *const sine = sines + token % s.tokens * half;
      for (std::int64_t at = token * row; at < (token + 1) * row; at += s.width) turn_head(x + at, cosine, sine, sign, half, y + at);
    }
  };
  parallel_ranges(s.batch * s.tokens, kGrain / std::max<std::int64_t>(row, 1) + 1, turn, 1);
}

template Rotary<float>::Signature Rotary<float>::fast;
template Rotary<bfloat16>::Signature Rotary<bfloat16>::fast;

}  // namespace capstan::kernels
