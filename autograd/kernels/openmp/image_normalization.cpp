#include "autograd/kernels/openmp/image_normalization.h"

#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels::openmp {
namespace {

// Sums over a plane of dy and of dy (x - mean).
struct Products {
  float dy = 0, dy_deviation = 0;
};

// The loops over a plane are never inlined: two copies might be vectorised differently, and a result depend on which one a thread took.
template <class T>
[[gnu::noinline]] float sum_of(const T* x, std::int64_t n) {
  float total = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<float>(x[i]);
  return total;
}

template <class T>
[[gnu::noinline]] float squares_of(const T* x, float mean, std::int64_t n) {
  float total = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = static_cast<float>(x[i]) - mean;
    total += d * d;
  }
  return total;
}

template <class T>
[[gnu::noinline]] Products products_of(const T* dy, const T* x, float mean, std::int64_t n) {
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
[[gnu::noinline]] void write_plane(T* y, const T* x, float mean, float scale, float shift, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(y[i], (static_cast<float>(x[i]) - mean) * scale + shift);
}

template <class T>
[[gnu::noinline]] void write_gradient_plane(T* dx, const T* dy, const T* x, float mean, float p, float q, float r, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(dx[i], p * static_cast<float>(dy[i]) + q * (static_cast<float>(x[i]) - mean) + r);
}

// Calls f(plane, its first element) for every plane, an element costing `work` additions.
template <class F>
void for_each_plane(const NormalizationSets& sets, std::int64_t work, const F& f) {
  parallel_tasks(sets.planes(), sets.planes() * sets.spatial * work, [&](std::int64_t i) { f(i, i * sets.spatial); });
}

}  // namespace

template <class T>
void PlanePasses<T>::sum(const T* x, float* sums) const {
  for_each_plane(sets, 1, [&](std::int64_t i, std::int64_t at) { sums[i] = sum_of(x + at, sets.spatial); });
}

template <class T>
void PlanePasses<T>::sum_squares(const T* x, const float* mean, float* sums) const {
  for_each_plane(sets, 1, [&](std::int64_t i, std::int64_t at) { sums[i] = squares_of(x + at, mean[sets.of_plane(i)], sets.spatial); });
}

template <class T>
void PlanePasses<T>::sum_products(const T* dy, const T* x, const float* mean, float* dy_sums, float* product_sums) const {
  for_each_plane(sets, 2, [&](std::int64_t i, std::int64_t at) {
    const Products sums = products_of(dy + at, x + at, mean[sets.of_plane(i)], sets.spatial);
    dy_sums[i] = sums.dy;
    product_sums[i] = sums.dy_deviation;
  });
}

template <class T>
void PlanePasses<T>::write(const T* x, const float* mean, const float* scale, const float* shift, T* y) const {
  for_each_plane(sets, 2, [&](std::int64_t i, std::int64_t at) {
    write_plane(y + at, x + at, mean[sets.of_plane(i)], scale[i], shift[i], sets.spatial);
  });
}

template <class T>
void PlanePasses<T>::write_gradient(const T* dy, const T* x, const float* mean, const float* p, const float* q, const float* r,
                                    T* dx) const {
  for_each_plane(sets, 3, [&](std::int64_t i, std::int64_t at) {
    write_gradient_plane(dx + at, dy + at, x + at, mean[sets.of_plane(i)], p[i], q[i], r[i], sets.spatial);
  });
}

template struct PlanePasses<float>;
template struct PlanePasses<bfloat16>;

}  // namespace capstan::kernels::openmp
