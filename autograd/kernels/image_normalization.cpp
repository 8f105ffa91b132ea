// The fast form: normalisation of a plane is a linear function of x, and its backward one of dy and x, with coefficients that the sums over
// planes give. The passes over planes are fused and may reorder sums (openmp/image_normalization.h); the coefficients are strict
// arithmetic.

#include "autograd/kernels/image_normalization.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/image_normalization.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

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

}  // namespace

template <class T>
void NormalizeSets<T>::fast(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                            const SetStatistics<T>& statistics, T* y) {
  const openmp::PlanePasses<T> passes{sets};
  const std::int64_t planes = sets.planes();
  const Scratch<float> by_plane(planes), scale(planes), shift(planes);
  passes.sum(x, by_plane.data());
  mean_of_sets(sets, by_plane.data(), statistics.mean);
  passes.sum_squares(x, statistics.mean, by_plane.data());
  mean_of_sets(sets, by_plane.data(), statistics.variance);
  for (std::int64_t i = 0; i < planes; ++i) {
    const std::int64_t channel = i % sets.channels;
    scale[i] = inverse_deviation(deviation, statistics.variance[sets.of_plane(i)]) * (gamma != nullptr ? float{gamma[channel]} : 1.0f);
    shift[i] = beta != nullptr ? float{beta[channel]} : 0.0f;
  }
  passes.write(x, statistics.mean, scale.data(), shift.data(), y);
}

// The derivation stands above the reference.
template <class T>
void NormalizeSetsBackward<T>::fast(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                                    const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                                    const SetGradients<T>& gradients) {
  const openmp::PlanePasses<T> passes{sets};
  const std::int64_t planes = sets.planes(), channels = sets.channels;
  const Scratch<float> dy_sums(planes), product_sums(planes);
  passes.sum_products(dy, x, statistics.mean, dy_sums.data(), product_sums.data());

  if (gradients.dgamma != nullptr || gradients.dbeta != nullptr)
    for (std::int64_t c = 0; c < channels; ++c) {
      float dgamma = 0, dbeta = 0;
      for (std::int64_t b = 0; b < sets.batch; ++b) {
        const std::int64_t i = b * channels + c;
        dgamma += product_sums[i] * inverse_deviation(deviation, statistics.variance[sets.of_plane(i)]);
        dbeta += dy_sums[i];
      }
      if (gradients.dgamma != nullptr) gradients.dgamma[c] = dgamma;
      if (gradients.dbeta != nullptr) gradients.dbeta[c] = dbeta;
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
  const Scratch<float> p(planes), q(planes), r(planes);
  for (std::int64_t i = 0; i < planes; ++i) {
    const std::int64_t s = sets.of_plane(i);
    const float variance = statistics.variance[s], inverse = inverse_deviation(deviation, variance);
    const float slope = deviation.form == DeviationForm::root ? inverse : variance > 0.0f ? 1.0f / std::sqrt(variance) : 0.0f;
    p[i] = inverse * gamma_of(i);
    q[i] = -inverse * inverse * slope * product_means[s];
    r[i] = -inverse * g_means[s];
    if (dstatistics.mean != nullptr) r[i] += dstatistics.mean[s] / size;
    if (dstatistics.variance != nullptr) q[i] += 2.0f * dstatistics.variance[s] / size;
  }
  passes.write_gradient(dy, x, statistics.mean, p.data(), q.data(), r.data(), gradients.dx);
}

template NormalizeSets<float>::Signature NormalizeSets<float>::fast;
template NormalizeSets<bfloat16>::Signature NormalizeSets<bfloat16>::fast;
template NormalizeSetsBackward<float>::Signature NormalizeSetsBackward<float>::fast;
template NormalizeSetsBackward<bfloat16>::Signature NormalizeSetsBackward<bfloat16>::fast;

}  // namespace capstan::kernels
