#include "nn/relative_position.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

/// The rows of the table for the distances first, first + step, ... of a skewed product: 2 T of them, of which the last is never read.
Tensor distances(const Tensor& table, std::int64_t length, std::int64_t step) {
  const std::int64_t zero = (table.size(0) - 1) / 2;  // the row of distance 0
  const Tensor rows(Shape{2 * length}, DType::i64);
  for (std::int64_t c = 0; c < 2 * length; ++c) rows.data<std::int64_t>()[c] = zero + step * (std::min(c, 2 * length - 2) - (length - 1));
  return index_select(table, 0, rows);  // [2 T, D]
}

/// The product of x [B, T, H, D] with all rows, each row of it shifted: y[b, h, r, c] = x[b, r, h] . rows[c - r + T - 1] / sqrt(D),
/// [B, H, T, T].
Tensor skewed_product(const Tensor& x, const Tensor& rows) {
  const std::int64_t batch = x.size(0), length = x.size(1), heads = x.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(x.size(3)));
  const Tensor all = matmul(permute(x, {0, 2, 1, 3}), transpose(rows, 0, 1), scale);  // [B, H, T, 2 T]
  // Row r begins at 2 T r; from T - 1 on, steps of 2 T - 1 reach column T - 1 - r of row r.
  const Tensor flat = slice(reshape(all, {batch, heads, 2 * length * length}), 2, length - 1, length * (2 * length - 1));
  return slice(reshape(flat, {batch, heads, length, 2 * length - 1}), 3, 0, length);
}

}  // namespace

Tensor relative_position_scores(const Tensor& query, const Tensor& key, const Tensor& table, RelativePositions kind) {
  require<InternalError>(kind != RelativePositions::none, "relative_position_scores: there is nothing to compute without a kind");
  const bool same_tokens = query.rank() == 4 && key.rank() == 4 && query.shape().without(2) == key.shape().without(2);
  require(same_tokens && (kind == RelativePositions::key || query.size(2) == key.size(2)),
          "relative_position_scores: query and key must be [B, T, H, D], alike: query ", query, ", key ", key);
  require(table.rank() == 2 && table.size(0) % 2 == 1 && table.size(1) == query.size(3),
          "relative_position_scores: the table must be [2 P - 1, D]: query ", query, ", table ", table);
  const std::int64_t length = query.size(1), longest = (table.size(0) + 1) / 2;
  require(length <= longest, "relative_position_scores: a sequence must not be longer than the table reaches: query ", query, ", table ",
          table, ", ", length, " and ", longest);
  if (length == 0) return Tensor(Shape{query.size(0), query.size(2), 0, 0}, query.dtype());
  const Tensor of_queries = skewed_product(query, distances(table, length, -1));  // row i, column j: distance i - j
  if (kind == RelativePositions::key) return of_queries;
  const Tensor of_keys = skewed_product(key, distances(table, length, 1));  // row j, column i
  return add(of_queries, transpose(of_keys, 2, 3));
}

}  // namespace capstan::nn
