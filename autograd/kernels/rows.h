#pragma once
// Coalescing: row-sparse gradients in which a row occurs several times, brought to one row each.
// The order is that of first occurrence and sums run in the order of occurrence, so results do not depend on threads.

#include <cstdint>
#include <span>

namespace capstan::kernels {

/// Numbers the distinct values of `indices` in the order of first occurrence: unique[position[i]] == indices[i]. Returns their count.
/// unique and position have room for indices.size(). Throws ShapeError for an index outside [0, table_rows).
/// Takes O(indices) time; the calling thread keeps O(table_rows) memory for it.
std::int64_t coalesce(std::span<const std::int64_t> indices, std::int64_t table_rows, std::span<std::int64_t> unique,
                      std::span<std::int64_t> position);

/// sums[position[i]] = the sum of rows[i] over all such i; rows [N, width], sums [count, width]. Positions as coalesce numbers them: every
/// one in [0, count) occurs, and first occurrences are in ascending order.
void sum_rows(const float* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, float* sums);
void sum_rows(const double* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, double* sums);

}  // namespace capstan::kernels
