#include "autograd/core/gradient.h"

namespace capstan {

Gradient Gradient::rows(Tensor indices, Tensor rows, const Shape& shape, bool unique) {
  const bool ok = indices.rank() == 1 && indices.dtype() == DType::i64 && rows.rank() == shape.rank() && rows.rank() >= 1 &&
                  rows.size(0) == indices.size(0) && rows.shape().without(0) == shape.without(0);
  require<InternalError>(ok, "gradient: rows must fit the table: indices ", indices, ", rows ", rows, ", table ", shape);
  Gradient g;
  g.indices_ = std::move(indices);
  g.rows_ = std::move(rows);
  g.shape_ = shape;
  g.unique_ = unique;
  return g;
}

const Tensor& Gradient::dense() const {
  require<InternalError>(dense_.defined(), "gradient: a dense gradient was expected, got ", is_sparse() ? "rows" : "none");
  return dense_;
}

}  // namespace capstan
