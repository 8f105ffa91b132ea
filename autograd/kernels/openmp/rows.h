#pragma once
// Coalescing for f32; contract in kernels/rows.h.

#include <cstdint>
#include <span>

namespace capstan::kernels::openmp {

void sum_rows(const float* rows, std::span<const std::int64_t> position, std::int64_t count, std::int64_t width, float* sums);

}  // namespace capstan::kernels::openmp
