#include "autograd/ops/arrange_rows.h"

#include <algorithm>

#include "autograd/kernels/indexing.h"
#include "autograd/ops/operands.h"

namespace capstan::ops {
namespace {

/// y[b, m] = x[b, rows[m]], zeros for row -1.
Tensor arranged(const Tensor& x, const Tensor& rows) {
  const Tensor from = dense(x), y(x.shape().with(1, rows.numel()), x.dtype());
  if (y.numel() == 0) return y;
  const std::int64_t row = y.numel() / (y.size(0) * y.size(1)) * static_cast<std::int64_t>(size_of(x.dtype()));
  kernels::take(x.size(0), x.size(1), y.size(1), row, rows.data<const std::int64_t>(), raw_pointer(from), raw_pointer(y));
  return y;
}

}  // namespace

Spec ArrangeRows::spec(const Args&, const Spec& x, const Spec& rows) {
  check_present(name, "x", x);
  require(x.shape.rank() >= 2, name, ": x must be [B, N, ...]: x ", x);
  require(rows.dtype == DType::i64 && rows.shape.rank() == 1, name, ": the rows must be i64 [M]: rows ", rows);
  return {x.shape.with(1, rows.shape[0]), x.dtype};
}

Tensor ArrangeRows::forward(const Args&, const Tensor& x, const Tensor& rows, const Call<2>&, Saved& saved) {
  const Tensor order = dense(rows), places(Shape{x.size(1)}, DType::i64);
  auto* const to = places.data<std::int64_t>();
  std::fill_n(to, places.numel(), std::int64_t{-1});
  std::int64_t m = 0;
  for (const std::int64_t row : order.span<const std::int64_t>()) {
    require(row >= -1 && row < x.size(1), name, ": every row must be one of x or -1: x ", x, ", place ", m, " holds ", row);
    if (row >= 0) {
      require(to[row] < 0, name, ": no row may be taken twice: x ", x, ", row ", row, " goes to places ", to[row], " and ", m);
      to[row] = m;
    }
    ++m;
  }
  saved = {places};
  return arranged(x, order);
}

// Row n of x is row places[n] of y and nothing else, so dx[b, n] = dy[b, places[n]], or 0 where it went nowhere.
Grads<2> ArrangeRows::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<2>) {
  return {arranged(dy, saved.places), Gradient{}};
}

}  // namespace capstan::ops
