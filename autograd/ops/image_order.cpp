#include "autograd/ops/image_order.h"

#include <vector>

#include "autograd/kernels/accumulate.h"
#include "autograd/ops/operands.h"

namespace capstan::ops {
namespace {

// Axis 1 as the last one: the view that is contiguous if channels are last.
Layout channels_moved_back(const Layout& layout) {
  std::vector<int> order{0};
  for (int axis = 2; axis < layout.shape().rank(); ++axis) order.push_back(axis);
  order.push_back(1);
  return layout.permute(order);
}

}  // namespace

bool has_channels_last(const Tensor& x) { return x.rank() >= 3 && !x.is_contiguous() && channels_moved_back(x.layout()).is_contiguous(); }

Tensor in_order(const Tensor& x, bool channels_last) {
  if (!channels_last) return dense(x);
  if (!x.defined() || channels_moved_back(x.layout()).is_contiguous()) return x;
  const Tensor copy = new_image(x.spec(), true);
  kernels::copy(x, copy);
  return copy;
}

Tensor new_image(const Spec& spec, bool channels_last) {
  if (!channels_last) return Tensor(spec);
  const int rank = spec.shape.rank();
  const Tensor memory(channels_moved_back(Layout(spec.shape)).shape(), spec.dtype);  // [B, ..., C]
  std::vector<int> order{0, rank - 1};
  for (int axis = 1; axis + 1 < rank; ++axis) order.push_back(axis);
  return memory.view(memory.layout().permute(order));
}

}  // namespace capstan::ops
