#pragma once
// How many threads a kernel takes. A parallel region costs some microseconds; small tensors are computed by the caller alone.

#include <omp.h>

#include <cstdint>

namespace capstan::kernels::openmp {

/// Elements (weighted by what one costs) below which a second thread does not pay.
inline constexpr std::int64_t kParallelWork = 1 << 15;

inline int team_size(std::int64_t work) { return work < kParallelWork ? 1 : omp_get_max_threads(); }

}  // namespace capstan::kernels::openmp
