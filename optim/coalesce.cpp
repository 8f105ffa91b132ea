#include "optim/coalesce.h"

#include "autograd/core/error.h"
#include "autograd/kernels/indexed_rows.h"

namespace capstan::optim {

Gradient coalesced(const Gradient& gradient) {
  const bool unique_rows = gradient.has_unique_rows();
  if (unique_rows && gradient.indices().is_contiguous() && gradient.row_values().is_contiguous()) return gradient;
  const Tensor indices = gradient.indices().contiguous(), rows = gradient.row_values().contiguous();
  if (unique_rows) return Gradient::rows(indices, rows, gradient.shape(), true);
  const std::int64_t n = indices.numel();
  Tensor unique(Shape{n}, DType::i64);
  const Tensor position(Shape{n}, DType::i64);
  const std::int64_t count = kernels::coalesce(indices.span<const std::int64_t>(), gradient.shape()[0], unique.span<std::int64_t>(),
                                               position.span<std::int64_t>());
  if (count == n) return Gradient::rows(indices, rows, gradient.shape(), true);
  unique = unique.view(unique.layout().slice(0, 0, count));
  const Tensor sums(gradient.shape().with(0, count), rows.dtype());
  const std::int64_t width = gradient.shape().without(0).numel();
  const std::span<const std::int64_t> positions = position.span<const std::int64_t>();
  if (rows.dtype() == DType::f64) {
    kernels::sum_rows(rows.data<double>(), positions, count, width, sums.data<double>());
  } else {
    kernels::sum_rows(rows.data<float>(), positions, count, width, sums.data<float>());
  }
  return Gradient::rows(unique, sums, gradient.shape(), true);
}

}  // namespace capstan::optim
