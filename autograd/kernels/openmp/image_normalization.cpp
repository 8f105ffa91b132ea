// A plane (one channel of one image) is the unit of work. Normalisation of a plane is a linear function of x, and its backward one of dy
// and x, with coefficients that the sums over planes give. Strict arithmetic: the coefficients are few, and the loops say where sums may be
// reordered.

#include "autograd/kernels/image_normalization.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
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
[[gnu::noinline]] float sum_of_squares(const T* x, float mean, std::int64_t n) {
  float total = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = static_cast<float>(x[i]) - mean;
    total += d * d;
  }
  return total;
}

template <class T>
[[gnu::noinline]] Products sum_of_products(const T* dy, const T* x, float mean, std::int64_t n) {
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
[[gnu::noinline]] void write_normalized(T* y, const T* x, float mean, float scale, float shift, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(y[i], (static_cast<float>(x[i]) - mean) * scale + shift);
}

template <class T>
[[gnu::noinline]] void write_gradient(T* dx, const T* dy, const T* x, float mean, float p, float q, float r, std::int64_t n) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) store(dx[i], p * static_cast<float>(dy[i]) + q * (static_cast<float>(x[i]) - mean) + r);
}

// 1 / what x - mean is divided by.
float inverse_deviation(const Deviation& d, float variance) {
  const float eps = static_cast<float>(d.eps);
  return 1.0f / (d.form == DeviationForm::root ? std::sqrt(variance + eps) : std::sqrt(variance) + eps);
}

// of_set[s] = the sum over the planes of s of by_plane[plane], divided by the size of a set.
void mean_of_sets(const NormalizationSets& sets, const float* by_plane, float* of_set) {
  std::fill_n(of_set, sets.count(), 0.0f);
  for (std::int64_t plane = 0; plane < sets.planes(); ++plane) of_set[sets.of_plane(plane)] += by_plane[plane];
  const float size = static_cast<float>(std::max<std::int64_t>(sets.size(), 1));
  for (std::int64_t s = 0; s < sets.count(); ++s) of_set[s] /= size;
}

// Calls f(plane) for every plane, each costing `work` additions.
template <class F>
void for_each_plane(std::int64_t planes, std::int64_t work, const F& f) {
  parallel_tasks(planes, planes * work, f);
}

}  // namespace

template <class T>
void NormalizeSets<T>::fast(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                            const SetStatistics<T>& statistics, T* y) {
  const std::int64_t planes = sets.planes(), n = sets.spatial;
  const Scratch<float> by_plane(planes);
  for_each_plane(planes, n, [&](std::int64_t i) { by_plane[i] = sum_of(x + i * n, n); });
  mean_of_sets(sets, by_plane.data(), statistics.mean);
  for_each_plane(planes, n, [&](std::int64_t i) { by_plane[i] = sum_of_squares(x + i * n, statistics.mean[sets.of_plane(i)], n); });
  mean_of_sets(sets, by_plane.data(), statistics.variance);
  for_each_plane(planes, 2 * n, [&](std::int64_t i) {
    const std::int64_t s = sets.of_plane(i), channel = i % sets.channels;
    const float scale = inverse_deviation(deviation, statistics.variance[s]) * (gamma != nullptr ? float{gamma[channel]} : 1.0f);
    write_normalized(y + i * n, x + i * n, statistics.mean[s], scale, beta != nullptr ? float{beta[channel]} : 0.0f, n);
  });
}

template <class T>
void NormalizeSetsBackward<T>::fast(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                                    const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                                    const SetGradients<T>& gradients) {
  const std::int64_t planes = sets.planes(), n = sets.spatial, channels = sets.channels;
  const Scratch<float> dy_sums(planes), product_sums(planes);
  for_each_plane(planes, 2 * n, [&](std::int64_t i) {
    const Products sums = sum_of_products(dy + i * n, x + i * n, statistics.mean[sets.of_plane(i)], n);
    dy_sums[i] = sums.dy;
    product_sums[i] = sums.dy_deviation;
  });

  if (gradients.dgamma != nullptr || gradients.dbeta != nullptr)
    for (std::int64_t c = 0; c < channels; ++c) {
      float dgamma = 0, dbeta = 0;
      for (std::int64_t b = 0; b < sets.batch; ++b) {
        const std::int64_t i = b * channels + c;
        dgamma += product_sums[i] * inverse_deviation(deviation, statistics.variance[sets.of_plane(i)]);
        dbeta += dy_sums[i];
      }
      if (gradients.dgamma != nullptr) gradients.dgamma[c] = convert<T>(dgamma);
      if (gradients.dbeta != nullptr) gradients.dbeta[c] = convert<T>(dbeta);
    }

  if (gradients.dx == nullptr) return;
  const auto gamma_of = [&](std::int64_t plane) { return gamma != nullptr ? float{gamma[plane % channels]} : 1.0f; };
  const Scratch<float> g_means(sets.count()), product_means(sets.count());
  for (std::int64_t i = 0; i < planes; ++i) {
    dy_sums[i] *= gamma_of(i);
    product_sums[i] *= gamma_of(i);
  }
  mean_of_sets(sets, dy_sums.data(), g_means.data());
  mean_of_sets(sets, product_sums.data(), product_means.data());
  const float size = static_cast<float>(std::max<std::int64_t>(sets.size(), 1));
  for_each_plane(planes, 3 * n, [&](std::int64_t i) {
    const std::int64_t s = sets.of_plane(i);
    const float variance = statistics.variance[s], inverse = inverse_deviation(deviation, variance);
    const float slope = deviation.form == DeviationForm::root ? inverse : variance > 0.0f ? 1.0f / std::sqrt(variance) : 0.0f;
    float q = -inverse * inverse * slope * product_means[s], r = -inverse * g_means[s];
    if (dstatistics.mean != nullptr) r += dstatistics.mean[s] / size;
    if (dstatistics.variance != nullptr) q += 2.0f * dstatistics.variance[s] / size;
    write_gradient(gradients.dx + i * n, dy + i * n, x + i * n, statistics.mean[s], inverse * gamma_of(i), q, r, n);
  });
}

template NormalizeSets<float>::Signature NormalizeSets<float>::fast;
template NormalizeSets<bfloat16>::Signature NormalizeSets<bfloat16>::fast;
template NormalizeSetsBackward<float>::Signature NormalizeSetsBackward<float>::fast;
template NormalizeSetsBackward<bfloat16>::Signature NormalizeSetsBackward<bfloat16>::fast;

}  // namespace capstan::kernels
