#pragma once
// Coalescing as plain loops; contract in kernels/rows.h.

#include <algorithm>
#include <cstdint>
#include <span>

namespace capstan::kernels::reference {

template <class T>
void sum_rows(const T* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, T* sums) {
  std::fill_n(sums, count * width, T{});
  for (std::size_t i = 0; i < position.size(); ++i)
    for (std::int64_t j = 0; j < width; ++j) sums[position[i] * width + j] += rows[static_cast<std::int64_t>(i) * width + j];
}

}  // namespace capstan::kernels::reference
