// The specification of kernels/image_normalization.h.

#include "autograd/kernels/image_normalization.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// 1 / what x - mean is divided by.
template <class C>
C inverse_deviation(const Deviation& d, C variance) {
  const C eps = static_cast<C>(d.eps);
  return C{1} / (d.form == DeviationForm::root ? std::sqrt(variance + eps) : std::sqrt(variance) + eps);
}

// of_set[s] = the mean over the elements of set s of term(plane, element).
template <class C, class F>
void mean_of_sets(const NormalizationSets& sets, C* of_set, const F& term) {
  std::fill_n(of_set, sets.count(), C{});
  for (std::int64_t plane = 0; plane < sets.planes(); ++plane) {
    C sum{};
    for (std::int64_t i = plane * sets.spatial; i < (plane + 1) * sets.spatial; ++i) sum += term(plane, i);
    of_set[sets.of_plane(plane)] += sum;
  }
  const C size = static_cast<C>(std::max<std::int64_t>(sets.size(), 1));
  for (std::int64_t s = 0; s < sets.count(); ++s) of_set[s] /= size;
}

}  // namespace

template <class T>
void NormalizeSets<T>::reference(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                                 const SetStatistics<T>& statistics, T* y) {
  using C = Compute<T>;
  const auto deviation_of = [&](std::int64_t plane, std::int64_t i) { return C{x[i]} - statistics.mean[sets.of_plane(plane)]; };
  mean_of_sets(sets, statistics.mean, [&](std::int64_t, std::int64_t i) { return C{x[i]}; });
  mean_of_sets(sets, statistics.variance,
               [&](std::int64_t plane, std::int64_t i) { return deviation_of(plane, i) * deviation_of(plane, i); });
  for (std::int64_t plane = 0; plane < sets.planes(); ++plane) {
    const std::int64_t channel = plane % sets.channels;
    const C inverse = inverse_deviation(deviation, statistics.variance[sets.of_plane(plane)]);
    const C scale = inverse * (gamma != nullptr ? C{gamma[channel]} : C{1}), shift = beta != nullptr ? C{beta[channel]} : C{};
    for (std::int64_t i = plane * sets.spatial; i < (plane + 1) * sets.spatial; ++i)
      y[i] = convert<T>(deviation_of(plane, i) * scale + shift);
  }
}

// With z = (x - mean) / d, N elements in the set, g = gamma dy, and everything summed over the set:
//     dx = (g - mean(g)) / d - (x - mean) mean(g (x - mean)) s + dmean / N + 2 dvariance (x - mean) / N
// where s = -d'(variance of 1/d) 2 is 1 / d^3 for d = sqrt(variance + eps) and 1 / (d^2 sqrt(variance)) for d = sqrt(variance) + eps; in
// the second form a set of equal elements has variance 0 and x = mean, and its term is 0. dgamma and dbeta sum dy z and dy over the
// planes of a channel.
template <class T>
void NormalizeSetsBackward<T>::reference(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                                         const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                                         const SetGradients<T>& gradients) {
  using C = Compute<T>;
  const auto deviation_of = [&](std::int64_t plane, std::int64_t i) { return C{x[i]} - statistics.mean[sets.of_plane(plane)]; };
  const auto gamma_of = [&](std::int64_t plane) { return gamma != nullptr ? C{gamma[plane % sets.channels]} : C{1}; };
  for (std::int64_t channel = 0; channel < sets.channels; ++channel) {
    C dgamma{}, dbeta{};
    for (std::int64_t plane = channel; plane < sets.planes(); plane += sets.channels) {
      C dy_sum{}, product_sum{};
      for (std::int64_t i = plane * sets.spatial; i < (plane + 1) * sets.spatial; ++i) {
        dy_sum += C{dy[i]};
        product_sum += C{dy[i]} * deviation_of(plane, i);
      }
      dgamma += product_sum * inverse_deviation(deviation, statistics.variance[sets.of_plane(plane)]);
      dbeta += dy_sum;
    }
    if (gradients.dgamma != nullptr) gradients.dgamma[channel] = dgamma;
    if (gradients.dbeta != nullptr) gradients.dbeta[channel] = dbeta;
  }

  if (gradients.dx == nullptr) return;
  const Scratch<C> g_means(sets.count()), product_means(sets.count());
  mean_of_sets(sets, g_means.data(), [&](std::int64_t plane, std::int64_t i) { return C{dy[i]} * gamma_of(plane); });
  mean_of_sets(sets, product_means.data(),
               [&](std::int64_t plane, std::int64_t i) { return C{dy[i]} * gamma_of(plane) * deviation_of(plane, i); });
  const C size = static_cast<C>(std::max<std::int64_t>(sets.size(), 1));
  for (std::int64_t plane = 0; plane < sets.planes(); ++plane) {
    const std::int64_t s = sets.of_plane(plane);
    const C variance = statistics.variance[s], inverse = inverse_deviation(deviation, variance);
    const C slope = deviation.form == DeviationForm::root ? inverse : variance > C{} ? C{1} / std::sqrt(variance) : C{};
    C of_deviation = -inverse * inverse * slope * product_means[s], constant = -inverse * g_means[s];
    if (dstatistics.mean != nullptr) constant += dstatistics.mean[s] / size;
    if (dstatistics.variance != nullptr) of_deviation += C{2} * dstatistics.variance[s] / size;
    for (std::int64_t i = plane * sets.spatial; i < (plane + 1) * sets.spatial; ++i)
      gradients.dx[i] = convert<T>(inverse * gamma_of(plane) * C{dy[i]} + of_deviation * deviation_of(plane, i) + constant);
  }
}

template NormalizeSets<float>::Signature NormalizeSets<float>::reference;
template NormalizeSets<bfloat16>::Signature NormalizeSets<bfloat16>::reference;
template NormalizeSets<double>::Signature NormalizeSets<double>::reference;
template NormalizeSetsBackward<float>::Signature NormalizeSetsBackward<float>::reference;
template NormalizeSetsBackward<bfloat16>::Signature NormalizeSetsBackward<bfloat16>::reference;
template NormalizeSetsBackward<double>::Signature NormalizeSetsBackward<double>::reference;

}  // namespace capstan::kernels
