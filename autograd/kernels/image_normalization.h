#pragma once
// Normalisation of images [batch, channels, spatial] (contiguous) over sets of elements that share a mean and a variance: a channel of all
// images (batch norm), or a group of channels of one image (group norm).
//     y = (x - mean) / deviation * gamma[channel] + beta[channel]
// T: float, bfloat16 (statistics in float), double. The variance is the biased one, from deviations from the mean.
//
// Sums are taken plane by plane (a plane is one channel of one image) and added in the order of planes, so they depend on the sizes alone.

#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

struct NormalizationSets {
  std::int64_t batch = 0, channels = 0, spatial = 0;
  std::int64_t groups = 1;    ///< equal parts of the channels
  bool across_batch = false;  ///< a set is a part of the channels of all images, not of one

  std::int64_t planes() const { return batch * channels; }
  std::int64_t count() const { return across_batch ? groups : batch * groups; }
  std::int64_t size() const { return channels / groups * spatial * (across_batch ? batch : 1); }
  std::int64_t of_plane(std::int64_t plane) const {
    const std::int64_t group = plane % channels / (channels / groups);
    return across_batch ? group : plane / channels * groups + group;
  }
};

/// What x - mean is divided by.
enum class DeviationForm {
  root,  ///< sqrt(variance + eps)
  sum,   ///< sqrt(variance) + eps
};
struct Deviation {
  double eps = 1e-5;
  DeviationForm form = DeviationForm::root;
};

/// Mean and variance of every set.
template <class T>
struct SetStatistics {
  Compute<T>* mean = nullptr;
  Compute<T>* variance = nullptr;
};

/// Writes the statistics and y; gamma and beta [channels] may be null.
template <class T>
struct NormalizeSets {
  using Signature = void(const NormalizationSets& sets, const T* x, const T* gamma, const T* beta, const Deviation& deviation,
                         const SetStatistics<T>& statistics, T* y);
  static Signature fast, reference;
};
inline constexpr Kernel<NormalizeSets, float, bfloat16, double> normalize_sets;

/// Gradients; a null one is not wanted. dx is like x; dgamma and dbeta are [channels], sums that are not rounded.
template <class T>
struct SetGradients {
  T* dx = nullptr;
  Compute<T>* dgamma = nullptr;
  Compute<T>* dbeta = nullptr;
};

/// From dy, and `dstatistics`, which reached mean and variance themselves (null: nothing did).
template <class T>
struct NormalizeSetsBackward {
  using Signature = void(const NormalizationSets& sets, const T* x, const T* gamma, const Deviation& deviation,
                         const SetStatistics<T>& statistics, const T* dy, const SetStatistics<T>& dstatistics,
                         const SetGradients<T>& gradients);
  static Signature fast, reference;
};
inline constexpr Kernel<NormalizeSetsBackward, float, bfloat16, double> normalize_sets_backward;

}  // namespace capstan::kernels
