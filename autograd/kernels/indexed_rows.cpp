// What both back ends share of kernels/indexed_rows.h: numbering rows and sorting positions. Nothing here computes on elements.

#include "autograd/kernels/indexed_rows.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::kernels {
namespace {

// As coalesce; a negative index gets the number -1.
std::int64_t number_rows(std::span<const std::int64_t> indices, std::int64_t table_rows, std::span<std::int64_t> unique,
                         std::span<std::int64_t> position) {
  require(indices.size() <= std::numeric_limits<std::int32_t>::max(), "coalesce: too many indices: ", indices.size());
  for (const std::int64_t row : indices)
    require(row < table_rows, "coalesce: indices must lie in the table: index ", row, ", rows ", table_rows);
  thread_local std::vector<std::int32_t> number;  // of a table row; -1 everywhere between two calls; narrow, to stay in the cache
  if (static_cast<std::int64_t>(number.size()) < table_rows) number.resize(static_cast<std::size_t>(table_rows), -1);
  std::int32_t count = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0) {
      position[i] = -1;
      continue;
    }
    std::int32_t& of_row = number[static_cast<std::size_t>(indices[i])];
    if (of_row < 0) {
      of_row = count;
      unique[static_cast<std::size_t>(count++)] = indices[i];
    }
    position[i] = of_row;
  }
  for (std::int32_t u = 0; u < count; ++u) number[static_cast<std::size_t>(unique[static_cast<std::size_t>(u)])] = -1;
  return count;
}

}  // namespace

std::int64_t coalesce(std::span<const std::int64_t> indices, std::int64_t table_rows, std::span<std::int64_t> unique,
                      std::span<std::int64_t> position) {
  for (const std::int64_t row : indices) require(row >= 0, "coalesce: indices must lie in the table: index ", row, ", rows ", table_rows);
  return number_rows(indices, table_rows, unique, position);
}

RowGroups::RowGroups(std::span<const std::int64_t> indices, std::int64_t table_rows)
    : RowGroups(static_cast<std::int64_t>(indices.size())) {
  const Scratch<std::int64_t> numbers(row.size());
  count = number_rows(indices, table_rows, row.span(), numbers.span());
  sort(numbers.span());
}

RowGroups RowGroups::of_numbers(std::span<const std::int64_t> numbers, std::int64_t count) {
  RowGroups groups(static_cast<std::int64_t>(numbers.size()));
  groups.count = count;
  groups.sort(numbers);
  return groups;
}

// A counting sort by number, which is stable.
void RowGroups::sort(std::span<const std::int64_t> numbers) {
  std::fill_n(start.data(), count + 1, 0);
  for (const std::int64_t number : numbers)
    if (number >= 0) ++start[number];
  std::int64_t begin = 0;
  for (std::int64_t u = 0; u <= count; ++u) {
    const std::int64_t size = u < count ? start[u] : 0;
    start[u] = begin;
    begin += size;
  }
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] >= 0) order[start[numbers[i]]++] = static_cast<std::int64_t>(i);
  for (std::int64_t u = count; u > 0; --u) start[u] = start[u - 1];  // every start has moved to the end of its group
  start[0] = 0;
}

void scatter_add_rows(const Tensor& indices, const Tensor& rows, const Tensor& table) {
  const bool fits = indices.rank() == 1 && rows.rank() == table.rank() && rows.rank() >= 1 && rows.size(0) == indices.size(0) &&
                    rows.shape().without(0) == table.shape().without(0) && rows.dtype() == table.dtype() && table.is_contiguous();
  require<InternalError>(fits, "scatter_add_rows: rows must fit the table: indices ", indices, ", rows ", rows, ", table ", table);
  const Tensor index = indices.contiguous(), row = rows.contiguous();
  const std::span<const std::int64_t> i = index.span<const std::int64_t>();
  for (std::size_t k = 0; k < i.size(); ++k)
    require(i[k] >= 0 && i[k] < table.size(0), "scatter_add_rows: every index must name a row of the table: table ", table, ", index ", k,
            " is ", i[k]);
  const RowGroups groups(i, table.size(0));
  dispatch_floating("scatter_add_rows", table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_groups(groups, {.rows = row.data<const T>()}, table.shape().without(0).numel(), GroupTarget::onto_table_row, table.data<T>());
  });
}

}  // namespace capstan::kernels
