#include "recipes/engine/train_step.h"

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"

namespace capstan::engine {
namespace {

Gradient concatenated(const Gradient& a, const Gradient& b) {
  const std::int64_t na = a.indices().numel(), nb = b.indices().numel();
  const Tensor indices(Shape{na + nb}, DType::i64), rows(a.row_values().shape().with(0, na + nb), a.row_values().dtype());
  const auto place = [](const Tensor& part, const Tensor& whole, std::int64_t first) {
    kernels::copy(part, whole.view(whole.layout().slice(0, first, part.size(0))));
  };
  place(a.indices(), indices, 0);
  place(b.indices(), indices, na);
  place(a.row_values(), rows, 0);
  place(b.row_values(), rows, na);
  return Gradient::rows(indices, rows, a.shape());
}

}  // namespace

void add_gradient(Gradient& held, Gradient incoming) {
  if (!incoming.defined()) return;
  if (!held.defined()) {
    held = std::move(incoming);
    return;
  }
  if (held.is_sparse() && incoming.is_sparse()) {
    held = concatenated(held, incoming);
    return;
  }
  if (held.is_sparse()) std::swap(held, incoming);
  Tensor sum = held.dense();
  held = Gradient{};
  if (!sum.storage().unique() || !sum.is_contiguous()) sum = sum.clone();  // somebody else sees this memory
  if (incoming.is_sparse()) {
    kernels::scatter_add_rows(incoming.indices(), incoming.row_values(), sum);
  } else {
    kernels::add_into(incoming.dense(), sum);
  }
  held = Gradient(std::move(sum));
}

}  // namespace capstan::engine
