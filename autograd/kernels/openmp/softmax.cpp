#include "autograd/kernels/softmax.h"

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

constexpr float kMinusInfinity = -kInfinity<float>;

// z[j] = score(x[j], mask[j * stride]).
template <class T, class M, class F>
void load_masked(const T* x, const M* mask, std::int64_t stride, std::int64_t n, float* z, const F& score) {
  if (stride == 1) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) z[j] = score(static_cast<float>(x[j]), mask[j]);
  } else {
    for (std::int64_t j = 0; j < n; ++j) z[j] = score(static_cast<float>(x[j]), mask[j * stride]);
  }
}

// z = the masked scores of a row; returns the largest.
template <class T>
float load_scores(const T* x, const RowMask<T>& mask, std::int64_t row, std::int64_t n, float* z) {
  const std::int64_t at = mask.present() ? mask.row_offset(row) : 0, stride = mask.present() ? mask.column_stride() : 0;
  if (mask.keep != nullptr) {
    load_masked(x, mask.keep + at, stride, n, z, [](float v, std::uint8_t keep) { return keep != 0 ? v : kMinusInfinity; });
  } else if (mask.add != nullptr) {
    load_masked(x, mask.add + at, stride, n, z, [](float v, T more) { return v + static_cast<float>(more); });
  } else {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) z[j] = static_cast<float>(x[j]);
  }
  return max_of(z, n, kMinusInfinity);
}

// Calls row(r, z) for every row with n floats of scratch.
template <class F>
void for_rows_with_scratch(std::int64_t rows, std::int64_t n, const F& row) {
  parallel_row_blocks(rows, n, 4, [&](std::int64_t first, std::int64_t last) {
    const Scratch<float> z(n);
    for (std::int64_t r = first; r < last; ++r) row(r, z.data());
  });
}

}  // namespace

template <class T>
void Softmax<T>::fast(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  for_rows_with_scratch(rows, n, [=, &mask](std::int64_t r, float* z) {
    const float max = load_scores(x + r * n, mask, r, n, z);
    T* const out = y + r * n;
    const bool empty = max == kMinusInfinity;
    const float sum = empty ? 1.0f : exp_in_place(z, n, max), inverse = 1.0f / sum;
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) store(out[j], empty ? 0.0f : z[j] * inverse);
  });
}

template <class T>
void SoftmaxBackward<T>::fast(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  parallel_rows(rows, n, 2, [=](std::int64_t r) {
    const T* const p = y + r * n;
    const T* const g = dy + r * n;
    T* const out = dx + r * n;
    float dot = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : dot)
    for (std::int64_t j = 0; j < n; ++j) dot += static_cast<float>(g[j]) * static_cast<float>(p[j]);
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) store(out[j], static_cast<float>(p[j]) * (static_cast<float>(g[j]) - dot));
  });
}

template <class T>
void LogSoftmax<T>::fast(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n) {
  for_rows_with_scratch(rows, n, [=, &mask](std::int64_t r, float* z) {
    const float max = load_scores(x + r * n, mask, r, n, z);
    T* const out = y + r * n;
    const bool empty = max == kMinusInfinity;
    const float shift = empty ? 0.0f : max + std::log(sum_of_exp(z, n, max));
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) store(out[j], z[j] - shift);
  });
}

template <class T>
void LogSoftmaxBackward<T>::fast(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n) {
  parallel_rows(rows, n, 2, [=](std::int64_t r) {
    const T* const log_p = y + r * n;
    const T* const g = dy + r * n;
    T* const out = dx + r * n;
    float sum = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) sum += static_cast<float>(log_p[j]) == kMinusInfinity ? 0.0f : static_cast<float>(g[j]);
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) {
      const float v = static_cast<float>(log_p[j]);
      store(out[j], v == kMinusInfinity ? 0.0f : static_cast<float>(g[j]) - exp_or_zero(v) * sum);
    }
  });
}

template Softmax<float>::Signature Softmax<float>::fast;
template Softmax<bfloat16>::Signature Softmax<bfloat16>::fast;
template SoftmaxBackward<float>::Signature SoftmaxBackward<float>::fast;
template SoftmaxBackward<bfloat16>::Signature SoftmaxBackward<bfloat16>::fast;
template LogSoftmax<float>::Signature LogSoftmax<float>::fast;
template LogSoftmax<bfloat16>::Signature LogSoftmax<bfloat16>::fast;
template LogSoftmaxBackward<float>::Signature LogSoftmaxBackward<float>::fast;
template LogSoftmaxBackward<bfloat16>::Signature LogSoftmaxBackward<bfloat16>::fast;

}  // namespace capstan::kernels
