#pragma once
// The rectangular assignment problem, solved exactly: pairs of rows and columns of a cost matrix whose costs have the smallest sum, where
// the shorter side is paired completely and nothing is paired twice.
//
// Shortest augmenting paths with potentials (Jonker and Volgenant 1987, in the rectangular form of Crouse 2016): rows enter one after the
// other, each along the cheapest path of swaps to a free column. O(r^2 c) for r = min(rows, columns), c = max(rows, columns).

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace capstan::detection {

/// (row, column) in the order of rows, min(rows, columns) of them. `cost` is [rows, columns], row by row; either may be 0.
///
/// Where several assignments are optimal one of them is returned, always the same for the same matrix: among columns that are equally far
/// a free one is taken before one that is paired already, then the lower one. Throws NumericalError for a cost that is NaN or infinite.
std::vector<std::pair<std::int64_t, std::int64_t>> assign(std::span<const double> cost, std::int64_t rows, std::int64_t columns);

}  // namespace capstan::detection
