#include "autograd/kernels/rows.h"

#include <limits>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/rows.h"
#include "autograd/kernels/reference/rows.h"

namespace capstan::kernels {

std::int64_t coalesce(std::span<const std::int64_t> indices, std::int64_t table_rows, std::span<std::int64_t> unique,
                      std::span<std::int64_t> position) {
  for (const std::int64_t row : indices)
    require(row >= 0 && row < table_rows, "coalesce: indices must lie in the table: index ", row, ", rows ", table_rows);
  require(indices.size() <= std::numeric_limits<std::int32_t>::max(), "coalesce: too many indices: ", indices.size());
  thread_local std::vector<std::int32_t> number;  // of a table row; -1 everywhere between two calls; narrow, to stay in the cache
  if (static_cast<std::int64_t>(number.size()) < table_rows) number.resize(static_cast<std::size_t>(table_rows), -1);
  std::int32_t count = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
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

void sum_rows(const float* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, float* sums) {
  backend() == Backend::fast ? openmp::sum_rows(rows, position, count, width, sums)
                             : reference::sum_rows(rows, position, count, width, sums);
}
void sum_rows(const double* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, double* sums) {
  reference::sum_rows(rows, position, count, width, sums);
}

}  // namespace capstan::kernels
