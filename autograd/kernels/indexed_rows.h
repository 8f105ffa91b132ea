#pragma once
// Rows of a table named by indices: gathered, and summed, which is what the gradient of a gather is.
//
//   gather_rows       out[i] = scale * table[indices[i]]
//   coalesce          numbers the distinct indices
//   RowGroups         positions sorted by the row they name
//   sum_groups        the segment sum over such groups: the one place where rows are added
//   sum_rows          the segment sum over positions that coalesce has numbered
//   scatter_add_rows  table[indices[i]] += rows[i], a segment sum onto the table
//
// The sum over the occurrences of a row runs in their order and is made by one thread, so it does not depend on the number of threads.
// T: float, bfloat16 (summed in float and rounded once), double.

#include <cstdint>
#include <span>

#include "autograd/core/tensor.h"
#include "autograd/kernels/backend.h"
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
struct GatherRows {
  using Signature = void(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out);
  static Signature fast, reference;
};
inline constexpr Kernel<GatherRows, float, bfloat16, double> gather_rows;

/// Numbers the distinct values of `indices` in the order of first occurrence: unique[position[i]] == indices[i]. Returns their count.
/// unique and position have room for indices.size(). Throws ShapeError for an index outside [0, table_rows).
/// Takes O(indices) time; the calling thread keeps O(table_rows) memory for it.
std::int64_t coalesce(std::span<const std::int64_t> indices, std::int64_t table_rows, std::span<std::int64_t> unique,
                      std::span<std::int64_t> position);

/// Positions grouped by the table row they name: those of group u are order[start[u]] ... order[start[u + 1] - 1], ascending.
/// Groups stand in the order of their first occurrence.
struct RowGroups {
  /// Positions whose index is negative are left out; the others must lie in [0, table_rows).
  RowGroups(std::span<const std::int64_t> indices, std::int64_t table_rows);
  /// From numbers in [0, count) as coalesce gives them: group u has the positions of number u, and `row` is not filled.
  static RowGroups of_numbers(std::span<const std::int64_t> numbers, std::int64_t count);

  std::int64_t count = 0;
  Scratch<std::int64_t> row, start, order;  // row [count], start [count + 1]; room for one group a position

 private:
  explicit RowGroups(std::int64_t positions) : row(positions), start(positions + 1), order(positions) {}
  void sort(std::span<const std::int64_t> numbers);
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
enum class GroupTarget {
  table_row,       ///< to the row the group names
  onto_table_row,  ///< the same, beginning the sum with what is there; scale is 1
  group_number,    ///< to the row of the group's number
};

/// out[target of u] = the sum over group u. Other rows of `out` are left as they are.
template <class T>
struct SumGroups {
  /// With weights it is a product with a matrix of few entries; without, a sum.
  static profile::Work work(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget, T*) {
    const std::int64_t positions = terms.weight == nullptr ? 0 : groups.start[groups.count];
    return {.flops = 2.0 * static_cast<double>(positions) * static_cast<double>(width)};
  }
  using Signature = void(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out);
  static Signature fast, reference;
};
inline constexpr Kernel<SumGroups, float, bfloat16, double> sum_groups;

/// sums[position[i]] = the sum of rows[i] over all such i; rows [N, width], sums [count, width]. Positions as coalesce numbers them: every
/// one in [0, count) occurs.
template <class T>
void sum_rows(const T* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, T* sums) {
  sum_groups(RowGroups::of_numbers(position, count), {.rows = rows}, width, GroupTarget::group_number, sums);
}

/// table[indices[i]] += rows[i] in the order of i; indices i64 [N], rows [N, ...], table [V, ...] contiguous. Throws ShapeError for an
/// index outside [0, V).
void scatter_add_rows(const Tensor& indices, const Tensor& rows, const Tensor& table);

}  // namespace capstan::kernels
