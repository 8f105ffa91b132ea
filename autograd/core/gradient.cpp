#include "autograd/core/gradient.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"

namespace capstan {
namespace {

Tensor converted(const Tensor& t, DType dtype) {
  if (t.dtype() == dtype) return t;
  const Tensor out(t.shape(), dtype);
  kernels::convert(t, out);
  return out;
}

/// The axes by falling stride: in this order a permuted view of a contiguous tensor is contiguous again.
std::vector<int> axes_as_they_lie(const Layout& layout) {
  std::vector<int> order(static_cast<std::size_t>(layout.shape().rank()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](int axis) { return layout.stride(axis); });
  return order;
}

/// The tensor itself if nobody else holds its memory and its elements lie without gaps, in whatever order of axes; else a copy that does.
Tensor to_write_into(Tensor t) {
  const std::vector<int> order = axes_as_they_lie(t.layout());
  const Layout straight = t.layout().permute(order);
  if (!straight.is_contiguous()) return t.clone();
  if (t.storage().unique()) return t;
  std::vector<int> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  const Tensor copy = t.view(straight).clone();
  return copy.view(copy.layout().permute(back));
}

Gradient concatenate_rows(const Gradient& a, const Gradient& b) {
  const std::int64_t na = a.indices().numel(), nb = b.indices().numel();
  const Tensor indices(Shape{na + nb}, DType::i64), rows(a.row_values().shape().with(0, na + nb), a.dtype());
  const auto put = [](const Tensor& part, const Tensor& whole, std::int64_t first) {
    kernels::copy(part, whole.view(whole.layout().slice(0, first, part.size(0))));
  };
  put(a.indices(), indices, 0);
  put(b.indices(), indices, na);
  put(a.row_values(), rows, 0);
  put(b.row_values(), rows, na);
  return Gradient::rows(indices, rows, a.shape());
}

}  // namespace

Gradient Gradient::make(Tensor values, Form form) {
  Gradient g(std::move(values));
  g.form_ = std::make_shared<const Form>(std::move(form));
  return g;
}

Gradient Gradient::rows(Tensor indices, Tensor values, const Shape& shape, bool unique) {
  const bool ok = indices.rank() == 1 && indices.dtype() == DType::i64 && values.rank() == shape.rank() && values.rank() >= 1 &&
                  values.size(0) == indices.size(0) && values.shape().without(0) == shape.without(0);
  require<InternalError>(ok, "gradient: rows must fit the table: indices ", indices, ", rows ", values, ", table ", shape);
  return make(std::move(values), {.shape = shape, .indices = std::move(indices), .unique = unique, .place = {}});
}

Gradient Gradient::slice(Tensor part, const Layout& place, const Shape& shape) {
  require<InternalError>(part.shape() == place.shape() && place.extent() <= shape.numel(), "gradient: a slice must lie in its value: part ",
                         part, ", place ", place.shape(), ", value ", shape);
  return make(std::move(part), {.shape = shape, .indices = {}, .unique = false, .place = place});
}

const Tensor& Gradient::dense() const {
  require<InternalError>(is_dense(), "gradient: a dense gradient was expected, got ",
                         !defined()   ? "none"
                         : is_slice() ? "a slice"
                                      : "rows");
  return values_;
}

const Tensor& Gradient::indices() const {
  require<InternalError>(is_sparse(), "gradient: rows were expected, got ",
                         !defined()   ? "none"
                         : is_slice() ? "a slice"
                                      : "a dense gradient");
  return form_->indices;
}

const Tensor& Gradient::row_values() const { return indices(), values_; }

Tensor Gradient::to_dense() const {
  require<InternalError>(defined(), "gradient: there is none to write out");
  if (is_dense()) return values_;
  const Tensor all = Tensor::zeros(shape(), dtype());
  if (is_sparse()) {
    kernels::scatter_add_rows(form_->indices, values_, all);
  } else {
    kernels::copy(values_, all.view(form_->place));
  }
  return all;
}

Gradient Gradient::to(DType dtype) const {
  if (!defined() || values_.dtype() == dtype) return *this;
  Gradient g(converted(values_, dtype));
  g.form_ = form_;
  return g;
}

void Gradient::add(Gradient incoming) {
  if (!incoming.defined()) return;
  if (!defined()) {
    *this = std::move(incoming);
    return;
  }
  require<InternalError>(shape() == incoming.shape(), "gradient: both parts of a sum must have one shape: ", shape(), " and ",
                         incoming.shape());
  const DType wide = size_of(dtype()) >= size_of(incoming.dtype()) ? dtype() : incoming.dtype();
  if (dtype() != wide) *this = to(wide);
  if (incoming.dtype() != wide) incoming = incoming.to(wide);
  if (is_sparse() && incoming.is_sparse()) {
    *this = concatenate_rows(*this, incoming);
    return;
  }
  if (!is_dense() && incoming.is_dense()) std::swap(*this, incoming);
  Tensor sum = to_dense();
  *this = Gradient{};                        // so that a gradient held by nobody else has one owner
  const bool by_row = incoming.is_sparse();  // rows are added to a contiguous table
  sum = by_row && !sum.is_contiguous() ? sum.clone() : to_write_into(std::move(sum));
  if (by_row) {
    kernels::scatter_add_rows(incoming.indices(), incoming.values_, sum);
  } else if (incoming.is_slice()) {
    kernels::add_into(incoming.values_, sum.view(incoming.form_->place));
  } else {  // in the order of memory
    const std::vector<int> order = axes_as_they_lie(sum.layout());
    kernels::add_into(incoming.values_.view(incoming.values_.layout().permute(order)), sum.view(sum.layout().permute(order)));
  }
  values_ = std::move(sum);
}

}  // namespace capstan
