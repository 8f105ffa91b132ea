#include "recipes/tasks/detection/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/core/error.h"

namespace capstan::detection {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

/// The column of each row; rows <= columns. `cost(r, c)` is r * row_step + c * column_step of the matrix.
std::vector<std::size_t> columns_of_rows(std::span<const double> matrix, std::size_t rows, std::size_t columns, std::size_t row_step,
                                         std::size_t column_step) {
  // Invariant: cost - u - v >= 0 everywhere and = 0 on pairs, so the pairs made so far are optimal for their rows.
  std::vector<double> u(rows, 0), v(columns, 0), distance(columns);
  std::vector<std::size_t> column_of(rows, kNone), row_of(columns, kNone), from(columns);
  std::vector<std::size_t> open(columns);  // columns whose shortest distance is not known yet, in ascending order
  std::vector<std::size_t> done;
  for (std::size_t start = 0; start < rows; ++start) {
    std::ranges::fill(distance, std::numeric_limits<double>::infinity());
    for (std::size_t c = 0; c < columns; ++c) open[c] = c;
    std::size_t left = columns, row = start, end = kNone;
    double shortest = 0;
    done.clear();
    while (end == kNone) {
      std::size_t best = 0;
      for (std::size_t k = 0; k < left; ++k) {
        const std::size_t c = open[k];
        const double through = shortest + (matrix[row * row_step + c * column_step] - u[row] - v[c]);
        if (through < distance[c]) {
          distance[c] = through;
          from[c] = row;
        }
        const std::size_t b = open[best];
        if (distance[c] < distance[b] || (distance[c] == distance[b] && row_of[c] == kNone && row_of[b] != kNone)) best = k;
      }
      const std::size_t nearest = open[best];
      shortest = distance[nearest];
      std::copy(open.begin() + static_cast<std::ptrdiff_t>(best) + 1, open.begin() + static_cast<std::ptrdiff_t>(left),
                open.begin() + static_cast<std::ptrdiff_t>(best));
      --left;
      done.push_back(nearest);
      if (row_of[nearest] == kNone) {
        end = nearest;
      } else {
        row = row_of[nearest];
      }
    }
    u[start] += shortest;
    for (const std::size_t c : done) {
      const double ahead = shortest - distance[c];
      v[c] -= ahead;
      if (row_of[c] != kNone) u[row_of[c]] += ahead;
    }
    for (std::size_t c = end, r = kNone; r != start;) {  // swap along the path
      r = from[c];
      row_of[c] = r;
      std::swap(column_of[r], c);
    }
  }
  return column_of;
}

}  // namespace

std::vector<std::pair<std::int64_t, std::int64_t>> assign(std::span<const double> cost, std::int64_t rows, std::int64_t columns) {
  require<InternalError>(rows >= 0 && columns >= 0 && std::ssize(cost) == rows * columns, "assign: needs rows x columns costs: ", rows,
                         " x ", columns, ", got ", cost.size());
  const auto bad = std::ranges::find_if(cost, [](double c) { return !std::isfinite(c); });
  if (bad != cost.end()) {
    const auto at = bad - cost.begin();
    throw NumericalError(join_text("assign: costs must be finite numbers: row ", at / columns, ", column ", at % columns, " of ", rows,
                                   " x ", columns, " is ", *bad));
  }
  const auto r = static_cast<std::size_t>(rows), c = static_cast<std::size_t>(columns);
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  const bool upright = rows > columns;
  const auto partner = upright ? columns_of_rows(cost, c, r, 1, c) : columns_of_rows(cost, r, c, c, 1);
  for (std::size_t i = 0; i < partner.size(); ++i) {
    const auto own = static_cast<std::int64_t>(i), other = static_cast<std::int64_t>(partner[i]);
    pairs.push_back(upright ? std::pair(other, own) : std::pair(own, other));
  }
  std::ranges::sort(pairs);
  return pairs;
}

}  // namespace capstan::detection
