#include "autograd/ops/compute_type.h"

#include <algorithm>

#include "autograd/kernels/numeric.h"

namespace capstan::detail {

Tensor converted(const Tensor& t, DType dtype) {
  const Tensor from = t.contiguous();
  if (from.dtype() == dtype) return from;
  Tensor to(from.shape(), dtype);
  dispatch_floating("convert", from.dtype(), [&](auto a) {
    dispatch_floating("convert", dtype, [&](auto b) {
      using From = decltype(a);
      using To = decltype(b);
      std::ranges::transform(from.span<const From>(), to.span<To>().begin(), [](From v) { return kernels::convert<To>(v); });
    });
  });
  return to;
}

}  // namespace capstan::detail
