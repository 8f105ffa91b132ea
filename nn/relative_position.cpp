#include "nn/relative_position.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

/// The rows of the table for the distances first, first + step, ... of a skewed product: `count` of them, of which the last is never read.
Tensor distances(const Tensor& table, std::int64_t first, std::int64_t step, std::int64_t count) {
  const std::int64_t zero = (table.size(0) - 1) / 2;  // the row of distance 0
  const Tensor rows(Shape{count}, DType::i64);
  for (std::int64_t c = 0; c < count; ++c) rows.data<std::int64_t>()[c] = zero + first + step * std::min(c, count - 2);
  return index_select(table, 0, rows);  // [count, D]
}

/// The product of x [B, R, H, D] with rows [R + C, D], each row of it shifted: y[b, h, r, c] = x[b, r, h] . rows[c - r + R - 1] / sqrt(D),
/// [B, H, R, C].
Tensor skewed_product(const Tensor& x, const Tensor& rows) {
  const std::int64_t batch = x.size(0), length = x.size(1), heads = x.size(2), count = rows.size(0);
  const double scale = 1.0 / std::sqrt(static_cast<double>(x.size(3)));
  const Tensor all = matmul(permute(x, {0, 2, 1, 3}), transpose(rows, 0, 1), scale);  // [B, H, R, R + C]
  // Row r begins at (R + C) r; from R - 1 on, steps of R + C - 1 reach column R - 1 - r of row r.
  const Tensor flat = slice(reshape(all, {batch, heads, length * count}), 2, length - 1, length * (count - 1));
  return slice(reshape(flat, {batch, heads, length, count - 1}), 3, 0, count - length);
}

}  // namespace

Tensor relative_position_scores(const Tensor& query, const Tensor& key, const Tensor& table, RelativePositions kind) {
  require<InternalError>(kind != RelativePositions::none, "relative_position_scores: there is nothing to compute without a kind");
  const bool same_tokens =
      query.rank() == 4 && key.rank() == 4 && query.size(0) == key.size(0) && query.size(1) <= key.size(1) && query.size(3) == key.size(3);
  require(same_tokens && (kind == RelativePositions::key || query.size(2) == key.size(2)),
          "relative_position_scores: query and key must be [B, T, H, D] and [B, S, H, D], T <= S: query ", query, ", key ", key);
  require(table.rank() == 2 && table.size(0) % 2 == 1 && table.size(1) == query.size(3),
          "relative_position_scores: the table must be [2 P - 1, D]: query ", query, ", table ", table);
  const std::int64_t queries = query.size(1), keys = key.size(1), longest = (table.size(0) + 1) / 2;
  require(keys <= longest, "relative_position_scores: a sequence must not be longer than the table reaches: key ", key, ", table ", table,
          ", ", keys, " and ", longest);
  if (queries == 0) return Tensor(Shape{query.size(0), query.size(2), 0, keys}, query.dtype());
  // Row i, column j: the distance is keys - queries + i - j.
  const Tensor of_queries = skewed_product(query, distances(table, keys - 1, -1, keys + queries));
  if (kind == RelativePositions::key) return of_queries;
  const Tensor of_keys = skewed_product(key, distances(table, 1 - queries, 1, keys + queries));  // row j, column i
  return add(of_queries, transpose(of_keys, 2, 3));
}

}  // namespace capstan::nn
