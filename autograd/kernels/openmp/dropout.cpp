#include "autograd/kernels/dropout.h"

#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels {

template <class T>
void Dropout<T>::fast(const T* x, const DropoutMask& mask, T* y, std::int64_t n) {
  constexpr std::int64_t kBlock = 8192;
  const float scale = static_cast<float>(mask.rate.scale);
  parallel_tasks((n + kBlock - 1) / kBlock, 4 * n, [=](std::int64_t block) {
    alignas(64) std::uint8_t keep[kBlock];
    const std::int64_t first = block * kBlock, count = std::min(kBlock, n - first);
    mask.decide(first, count, keep);
    const T* const in = x + first;
    T* const out = y + first;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) store(out[i], keep_or_zero(static_cast<float>(in[i]) * scale, keep[i]));
  });
}

template Dropout<float>::Signature Dropout<float>::fast;
template Dropout<bfloat16>::Signature Dropout<bfloat16>::fast;

}  // namespace capstan::kernels
