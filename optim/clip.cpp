#include "optim/clip.h"

#include <cmath>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/kernels/optimizer_update.h"
#include "optim/coalesce.h"

namespace capstan::optim {

double global_norm(std::span<Gradient> gradients) { return std::sqrt(sum_of_squares(gradients)); }

double sum_of_squares(std::span<Gradient> gradients) {
  std::vector<Tensor> packed;  // keeps the spans alive
  std::vector<std::span<const float>> f32;
  std::vector<std::span<const double>> f64;
  for (Gradient& g : gradients) {
    if (!g.defined()) continue;
    if (g.is_sparse()) g = coalesced(g);
    const Tensor& t = packed.emplace_back((g.is_sparse() ? g.row_values() : g.dense()).contiguous());
    require<DTypeError>(t.dtype() == DType::f32 || t.dtype() == DType::f64, "global_norm: gradients must be f32 or f64: ", t);
    if (t.dtype() == DType::f64) {
      f64.push_back(t.span<const double>());
    } else {
      f32.push_back(t.span<const float>());
    }
  }
  return kernels::sum_of_squares<float>(f32) + kernels::sum_of_squares<double>(f64);
}

Clipped clip_global_norm(std::span<Gradient> gradients, double max_norm) { return clip_norm(global_norm(gradients), max_norm); }

Clipped clip_norm(double norm, double max_norm) {
  require<ConfigError>(max_norm > 0, "clip_global_norm: the largest norm must be positive: ", max_norm);
  return {norm, norm <= max_norm ? 1.0 : max_norm / norm};
}

}  // namespace capstan::optim
