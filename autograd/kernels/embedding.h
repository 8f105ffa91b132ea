#pragma once
// Rows of a table: gathered, and the sums that their gradients are. T: float, bfloat16 (summed in float), double.
//
// A sum over the occurrences of a row runs in their order and is made by one thread, so it does not depend on the number of threads.

#include <cstdint>
#include <span>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {

/// Which table rows a gather takes; the row `padding` (if any) reads as zeros.
struct RowSelection {
  std::span<const std::int64_t> indices;  ///< all in [0, rows of the table)
  std::int64_t padding = -1;
};

/// out[i] = scale * table[indices[i]]; table [V, width], out [indices, width].
template <class T>
void gather_rows(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out);

/// Positions grouped by the table row they name: those of group u are order[start[u]] ... order[start[u + 1] - 1], ascending.
/// Groups stand in the order of their first occurrence.
struct RowGroups {
  /// Positions whose index is negative are left out; the others must lie in [0, table_rows).
  RowGroups(std::span<const std::int64_t> indices, std::int64_t table_rows);

  std::int64_t count = 0;
  Scratch<std::int64_t> row, start, order;  // row [count], start [count + 1]
};

/// What is summed at a position p: scale * weight[p] * rows[p / positions_per_row] (weight null: 1).
template <class T>
struct GroupTerms {
  const T* rows = nullptr;
  const Compute<T>* weight = nullptr;
  std::int64_t positions_per_row = 1;
  double scale = 1;
};

/// Where the sum of a group goes.
enum class GroupTarget { table_row, group_number };

/// out[target of u] = the sum over group u. Other rows of `out` are left as they are.
template <class T>
void sum_groups(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out);

}  // namespace capstan::kernels
