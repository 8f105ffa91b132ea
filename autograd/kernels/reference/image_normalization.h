#pragma once
// Contract in kernels/image_normalization.h. Normalisation of a plane is a linear function of x, and its backward one of dy and x, with
// coefficients that the sums over planes give; so the loops over a plane, which differ between back ends, are a parameter:
//     C    sum(const T* x, int64_t n)                          sum of x
//     C    squares(const T* x, C mean, int64_t n)              sum of (x - mean)^2
//     Pair products(const T* dy, const T* x, C mean, n)        sums of dy and of dy (x - mean)
//     void write(T* y, const T* x, C mean, C scale, C shift, n)                     y = (x - mean) scale + shift
//     void write_gradient(T* dx, const T* dy, const T* x, C mean, C p, C q, C r, n)  dx = p dy + q (x - mean) + r
//     void for_each_plane(planes, work, f)

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "autograd/kernels/image_normalization.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels::reference {

template <class C>
struct TwoSums {
  C first{}, second{};
};

/// The plain loops over a plane.
template <class T>
struct PlaneLoops {
  using C = Compute<T>;
  static C sum(const T* x, std::int64_t n) {
    C total{};
    for (std::int64_t i = 0; i < n; ++i) total += C{x[i]};
    return total;
  }
  static C squares(const T* x, C mean, std::int64_t n) {
    C total{};
    for (std::int64_t i = 0; i < n; ++i) total += (C{x[i]} - mean) * (C{x[i]} - mean);
    return total;
  }
  static TwoSums<C> products(const T* dy, const T* x, C mean, std::int64_t n) {
    TwoSums<C> total;
    for (std::int64_t i = 0; i < n; ++i) {
      total.first += C{dy[i]};
      total.second += C{dy[i]} * (C{x[i]} - mean);
    }
    return total;
  }
  static void write(T* y, const T* x, C mean, C scale, C shift, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = convert<T>((C{x[i]} - mean) * scale + shift);
  }
  static void write_gradient(T* dx, const T* dy, const T* x, C mean, C p, C q, C r, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) dx[i] = convert<T>(p * C{dy[i]} + q * (C{x[i]} - mean) + r);
  }
  template <class F>
  static void for_each_plane(std::int64_t planes, std::int64_t, const F& f) {
    for (std::int64_t plane = 0; plane < planes; ++plane) f(plane);
  }
};

/// 1 / what x - mean is divided by.
template <class C>
C inverse_deviation(const Deviation& d, C variance) {
  const C eps = static_cast<C>(d.eps);
  return C{1} / (d.form == DeviationForm::root ? std::sqrt(variance + eps) : std::sqrt(variance) + eps);
}

/// of_set[s] = the sum over the planes of s of by_plane[plane], divided by the size of a set.
template <class C>
void mean_of_sets(const NormalizationSets& sets, const C* by_plane, C* of_set) {
  std::fill_n(of_set, sets.count(), C{});
  for (std::int64_t plane = 0; plane < sets.planes(); ++plane) of_set[sets.of_plane(plane)] += by_plane[plane];
  const C size = static_cast<C>(std::max<std::int64_t>(sets.size(), 1));
  for (std::int64_t s = 0; s < sets.count(); ++s) of_set[s] /= size;
}

template <class Loops, class T>
void normalize_sets(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                    const SetStatistics<T>& statistics, T* y) {
  using C = Compute<T>;
  const std::int64_t planes = sets.planes(), n = sets.spatial;
  const Scratch<C> by_plane(planes);
  Loops::for_each_plane(planes, n, [&](std::int64_t i) { by_plane[i] = Loops::sum(x + i * n, n); });
  mean_of_sets(sets, by_plane.data(), statistics.mean);
  Loops::for_each_plane(planes, n, [&](std::int64_t i) { by_plane[i] = Loops::squares(x + i * n, statistics.mean[sets.of_plane(i)], n); });
  mean_of_sets(sets, by_plane.data(), statistics.variance);
  Loops::for_each_plane(planes, 2 * n, [&](std::int64_t i) {
    const std::int64_t s = sets.of_plane(i), channel = i % sets.channels;
    const C scale = inverse_deviation(deviation, statistics.variance[s]) * (gamma != nullptr ? C{gamma[channel]} : C{1});
    Loops::write(y + i * n, x + i * n, statistics.mean[s], scale, beta != nullptr ? C{beta[channel]} : C{}, n);
  });
}

// With z = (x - mean) / d, N elements in the set, g = gamma dy, and everything summed over the set:
//     dx = (g - mean(g)) / d - (x - mean) mean(g (x - mean)) s + dmean / N + 2 dvariance (x - mean) / N
// where s = -d'(variance of 1/d) 2 is 1 / d^3 for d = sqrt(variance + eps) and 1 / (d^2 sqrt(variance)) for d = sqrt(variance) + eps; in
// the second form a set of equal elements has variance 0 and x = mean, and its term is 0. dgamma and dbeta sum dy z and dy over the
// planes of a channel.
template <class Loops, class T>
void normalize_sets_backward(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                             const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                             const SetGradients<T>& gradients) {
  using C = Compute<T>;
  const std::int64_t planes = sets.planes(), n = sets.spatial, channels = sets.channels;
  const Scratch<C> dy_sums(planes), product_sums(planes);
  Loops::for_each_plane(planes, 2 * n, [&](std::int64_t i) {
    const TwoSums<C> sums = Loops::products(dy + i * n, x + i * n, statistics.mean[sets.of_plane(i)], n);
    dy_sums[i] = sums.first;
    product_sums[i] = sums.second;
  });

  if (gradients.dgamma != nullptr || gradients.dbeta != nullptr)
    for (std::int64_t c = 0; c < channels; ++c) {
      C dgamma{}, dbeta{};
      for (std::int64_t b = 0; b < sets.batch; ++b) {
        const std::int64_t i = b * channels + c;
        dgamma += product_sums[i] * inverse_deviation(deviation, statistics.variance[sets.of_plane(i)]);
        dbeta += dy_sums[i];
      }
      if (gradients.dgamma != nullptr) gradients.dgamma[c] = convert<T>(dgamma);
      if (gradients.dbeta != nullptr) gradients.dbeta[c] = convert<T>(dbeta);
    }

  if (gradients.dx == nullptr) return;
  const auto gamma_of = [&](std::int64_t plane) { return gamma != nullptr ? C{gamma[plane % channels]} : C{1}; };
  const Scratch<C> g_means(sets.count()), product_means(sets.count());
  for (std::int64_t i = 0; i < planes; ++i) {
    dy_sums[i] *= gamma_of(i);
    product_sums[i] *= gamma_of(i);
  }
  mean_of_sets(sets, dy_sums.data(), g_means.data());
  mean_of_sets(sets, product_sums.data(), product_means.data());
  const C size = static_cast<C>(std::max<std::int64_t>(sets.size(), 1));
  Loops::for_each_plane(planes, 3 * n, [&](std::int64_t i) {
    const std::int64_t s = sets.of_plane(i);
    const C variance = statistics.variance[s], inverse = inverse_deviation(deviation, variance);
    const C slope = deviation.form == DeviationForm::root ? inverse : variance > C{} ? C{1} / std::sqrt(variance) : C{};
    C q = -inverse * inverse * slope * product_means[s], r = -inverse * g_means[s];
    if (dstatistics.mean != nullptr) r += dstatistics.mean[s] / size;
    if (dstatistics.variance != nullptr) q += C{2} * dstatistics.variance[s] / size;
    Loops::write_gradient(gradients.dx + i * n, dy + i * n, x + i * n, statistics.mean[s], inverse * gamma_of(i), q, r, n);
  });
}

}  // namespace capstan::kernels::reference
