#pragma once
// Rows of every sample in another order, with rows of zeros between them and rows left out: windows cut out of a map of tokens, moved and
// padded, and put together again.
//
// No row is taken twice, so the gradient is an arrangement too, where that of index_select (shape_ops.h) is a sum.

#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct ArrangeRows {
  static constexpr std::string_view name = "arrange_rows";
  static constexpr bool picks_rows = true;
  struct Args {};
  struct Saved {
    Tensor places;  ///< i64 [N]: where each row of x went, -1: nowhere
  };
  static Spec spec(const Args&, const Spec& x, const Spec& rows);
  static Tensor forward(const Args&, const Tensor& x, const Tensor& rows, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

using ArrangeRowsOps = TypeList<ArrangeRows>;

}  // namespace ops

/// x [B, N, ...], rows i64 [M] -> [B, M, ...]: row m of a sample is its row rows[m], or zeros where that is -1. Any element type; throws
/// ShapeError for a row that is not there or taken twice.
inline Tensor arrange_rows(const Tensor& x, const Tensor& rows) { return apply<ops::ArrangeRows>({}, x, rows); }

}  // namespace capstan
