#pragma once
// Ranges divided among threads. Use it where the result of an element does not depend on the range it is computed in; sums
// that cross ranges need a partition fixed by the sizes alone (parallel_tasks), so that no result depends on the thread count.

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace capstan::kernels {

/// Elements worth waking a thread for, when an element costs about as much as an addition.
inline constexpr std::int64_t kGrain = 32768;

/// Asks for the cache lines of a row that is needed soon: rows named by an index are what the processor cannot foresee. Into the
/// second-level cache: the first level has too few requests under way at a time for rows that come from memory.
template <class T>
inline void prefetch_row(const T* row, std::int64_t width) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t j = 0; j < width; j += kLine) __builtin_prefetch(row + j, 0, 2);
}

/// Calls f(first, last) for one range a thread, which together make [0, n); one range on this thread if n is below 2 * grain. Bounds are
/// multiples of `unit`: 64 elements keep two threads off one cache line and every vector of a loop where it is on one thread.
template <class F>
void parallel_ranges(std::int64_t n, std::int64_t grain, const F& f, std::int64_t unit = 64) {
  const std::int64_t threads = std::min<std::int64_t>(omp_get_max_threads(), n / std::max<std::int64_t>(grain, 1));
  if (threads <= 1 || omp_in_parallel()) {
    if (n > 0) f(std::int64_t{0}, n);
    return;
  }
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    const std::int64_t t = omp_get_thread_num(), count = omp_get_num_threads(), units = (n + unit - 1) / unit;
    const std::int64_t first = units * t / count * unit, last = std::min(n, units * (t + 1) / count * unit);
    if (first < last) f(first, last);
  }
}

/// Calls f(i) for every task i in [0, tasks), on several threads if `work` elements in all are worth it.
template <class F>
void parallel_tasks(std::int64_t tasks, std::int64_t work, const F& f) {
  if (tasks <= 1 || work < 2 * kGrain || omp_in_parallel()) {
    for (std::int64_t i = 0; i < tasks; ++i) f(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < tasks; ++i) f(i);
}

}  // namespace capstan::kernels
