#include "optim/clip.h"

#include <cmath>

#include "autograd/core/error.h"
#include "autograd/kernels/optimizer_update.h"
#include "optim/coalesce.h"

namespace capstan::optim {
namespace {

double sum_of_squares(const Tensor& t) {
  const Tensor packed = t.contiguous();
  require<DTypeError>(t.dtype() == DType::f32 || t.dtype() == DType::f64, "global_norm: gradients must be f32 or f64: ", t);
  return t.dtype() == DType::f64 ? kernels::sum_of_squares(std::span<const double>(packed.span<double>()))
                                 : kernels::sum_of_squares(std::span<const float>(packed.span<float>()));
}

}  // namespace

double global_norm(std::span<Gradient> gradients) {
  double sum = 0;
  for (Gradient& g : gradients) {
    if (!g.defined()) continue;
    if (g.is_sparse()) g = coalesced(g);
    sum += sum_of_squares(g.is_sparse() ? g.row_values() : g.dense());
  }
  return std::sqrt(sum);
}

Clipped clip_global_norm(std::span<Gradient> gradients, double max_norm) {
  require<ConfigError>(max_norm > 0, "clip_global_norm: the largest norm must be positive: ", max_norm);
  const double norm = global_norm(gradients);
  return {norm, norm <= max_norm ? 1.0 : max_norm / norm};
}

}  // namespace capstan::optim
