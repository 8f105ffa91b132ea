#include "autograd/kernels/openmp/embedding.h"

#include <algorithm>

#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels::openmp {

template <class T>
void gather_rows(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out) {
  const auto n = static_cast<std::int64_t>(selection.indices.size());
  const auto factor = static_cast<float>(scale);
  constexpr std::int64_t kAhead = 8;  // rows
  parallel_rows(n, width, 1, [=](std::int64_t i) {
    if (i + kAhead < n) prefetch_row(table + selection.indices[static_cast<std::size_t>(i + kAhead)] * width, width);
    const std::int64_t row = selection.indices[static_cast<std::size_t>(i)];
    const T* const from = table + row * width;
    T* const to = out + i * width;
    if (row == selection.padding) {
      std::fill_n(to, width, T(0.0f));
    } else if (factor == 1.0f) {
      std::copy_n(from, width, to);
    } else {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t j = 0; j < width; ++j) store(to[j], static_cast<float>(from[j]) * factor);
    }
  });
}

template <class T>
void sum_groups(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out) {
  // Blocks of groups with about as many positions each: a popular row may have most of them.
  const std::int64_t positions = groups.start[groups.count], blocks = std::clamp<std::int64_t>(positions * width / 16384, 1, 64);
  const std::int64_t* const start = groups.start.data();
  const auto first_group = [=, &groups](std::int64_t block) {
    return std::lower_bound(start, start + groups.count, positions * block / blocks) - start;
  };
  parallel_tasks(blocks, positions * width, [&](std::int64_t block) {
    const Scratch<float> sums(width);
    float* const sum = sums.data();
    const std::int64_t end = block + 1 == blocks ? groups.count : first_group(block + 1);
    for (std::int64_t u = first_group(block); u < end; ++u) {
      std::fill_n(sum, width, 0.0f);
      for (std::int64_t i = start[u]; i < start[u + 1]; ++i) {
        const std::int64_t p = groups.order[i];
        const T* const row = terms.rows + (terms.positions_per_row == 1 ? p : p / terms.positions_per_row) * width;
        const float weight = terms.weight != nullptr ? terms.weight[p] : 1.0f;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < width; ++j) sum[j] += weight * static_cast<float>(row[j]);
      }
      T* const to = out + (target == GroupTarget::table_row ? groups.row[u] : u) * width;
      const auto factor = static_cast<float>(terms.scale);
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t j = 0; j < width; ++j) store(to[j], sum[j] * factor);
    }
  });
}

template void gather_rows(const float*, const RowSelection&, std::int64_t, double, float*);
template void gather_rows(const bfloat16*, const RowSelection&, std::int64_t, double, bfloat16*);
template void sum_groups(const RowGroups&, const GroupTerms<float>&, std::int64_t, GroupTarget, float*);
template void sum_groups(const RowGroups&, const GroupTerms<bfloat16>&, std::int64_t, GroupTarget, bfloat16*);

}  // namespace capstan::kernels::openmp
