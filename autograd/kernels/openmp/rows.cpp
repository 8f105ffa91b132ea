#include "autograd/kernels/openmp/rows.h"

#include <algorithm>

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kSerialBelow = 65536;  // elements below which starting threads costs more than it gains
constexpr std::int64_t kParts = 8;            // each looks through all positions, so not many

}  // namespace

// Every part owns a range of sums and looks through all positions for its own: no two threads meet, and the order of a sum is fixed.
// Sums are numbered in the order of first occurrence, so the first row of the next new number begins its sum.
void sum_rows(const float* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, float* sums) {
  const auto n = static_cast<std::int64_t>(position.size());
  const std::int64_t parts = n * width < kSerialBelow ? 1 : std::min(kParts, count);
#pragma omp parallel for schedule(static) if (parts > 1)
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    std::int64_t fresh = begin;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t to = position[static_cast<std::size_t>(i)];
      if (to < begin || to >= end) continue;
      float* const sum = sums + to * width;
      const float* const row = rows + i * width;
      if (to == fresh) {
        std::copy_n(row, width, sum);
        ++fresh;
        continue;
      }
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) sum[j] += row[j];
    }
  }
}

}  // namespace capstan::kernels::openmp
