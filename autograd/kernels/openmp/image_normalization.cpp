#include "autograd/kernels/openmp/image_normalization.h"

namespace capstan::kernels::openmp {

template <class T>
float PlaneLoops<T>::sum(const T* x, std::int64_t n) {
  float total = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<float>(x[i]);
  return total;
}

template <class T>
float PlaneLoops<T>::squares(const T* x, float mean, std::int64_t n) {
  float total = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = static_cast<float>(x[i]) - mean;
    total += d * d;
  }
  return total;
}

template <class T>
reference::TwoSums<float> PlaneLoops<T>::products(const T* dy, const T* x, float mean, std::int64_t n) {
  float first = 0, second = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : first, second)
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = static_cast<float>(dy[i]);
    first += g;
    second += g * (static_cast<float>(x[i]) - mean);
  }
  return {first, second};
}

template <class T>
void PlaneLoops<T>::write(T* y, const T* x, float mean, float scale, float shift, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(y[i], (static_cast<float>(x[i]) - mean) * scale + shift);
}

template <class T>
void PlaneLoops<T>::write_gradient(T* dx, const T* dy, const T* x, float mean, float p, float q, float r, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(dx[i], p * static_cast<float>(dy[i]) + q * (static_cast<float>(x[i]) - mean) + r);
}

template struct PlaneLoops<float>;
template struct PlaneLoops<bfloat16>;

}  // namespace capstan::kernels::openmp
