// The specification of kernels/rotary.h.

#include "autograd/kernels/rotary.h"

namespace capstan::kernels {

template <class T>
void Rotary<T>::reference(const T* x, const Compute<T>* cosines, const Compute<T>* sines, bool inverse, T* y, const RotaryShape& s) {
  using C = Compute<T>;
  const std::int64_t half = s.width / 2;
  for (std::int64_t row = 0; row < s.batch * s.tokens * s.heads; ++row) {
    const std::int64_t token = row / s.heads % s.tokens;
    for (std::int64_t i = 0; i < half; ++i) {
      const std::int64_t first = row * s.width + i, second = first + half;
      const C cosine = cosines[token * half + i], sine = inverse ? -sines[token * half + i] : sines[token * half + i];
      const C a = static_cast<C>(x[first]), b = static_cast<C>(x[second]);
      y[first] = static_cast<T>(a * cosine - b * sine);
      y[second] = static_cast<T>(b * cosine + a * sine);
    }
  }
}

template Rotary<float>::Signature Rotary<float>::reference;
template Rotary<bfloat16>::Signature Rotary<bfloat16>::reference;
template Rotary<double>::Signature Rotary<double>::reference;

}  // namespace capstan::kernels
