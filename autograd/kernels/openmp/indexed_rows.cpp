#include "autograd/kernels/indexed_rows.h"

#include <algorithm>

#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kAhead = 8;  // rows whose memory is asked for beforehand

}  // namespace

template <class T>
void GatherRows<T>::fast(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out) {
  const auto n = static_cast<std::int64_t>(selection.indices.size());
  const auto factor = static_cast<float>(scale);
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
void SumGroups<T>::fast(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out) {
  // Blocks of groups with about as many positions each: a popular row may have most of them.
  const std::int64_t positions = groups.start[groups.count], blocks = std::clamp<std::int64_t>(positions * width / 16384, 1, 64);
  const std::int64_t* const start = groups.start.data();
  const auto first_group = [=, &groups](std::int64_t block) {
    return std::lower_bound(start, start + groups.count, positions * block / blocks) - start;
  };
  const auto row_at = [&](std::int64_t p) { return terms.rows + (terms.positions_per_row == 1 ? p : p / terms.positions_per_row) * width; };
  parallel_tasks(blocks, positions * width, [&](std::int64_t block) {
    const Scratch<float> sums(width);
    float* const sum = sums.data();
    const std::int64_t end = block + 1 == blocks ? groups.count : first_group(block + 1);
    for (std::int64_t u = first_group(block); u < end; ++u) {
      T* const to = out + (target == GroupTarget::group_number ? u : groups.row[u]) * width;
      if (target == GroupTarget::onto_table_row) {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < width; ++j) sum[j] = static_cast<float>(to[j]);
      } else {
        std::fill_n(sum, width, 0.0f);
      }
      for (std::int64_t i = start[u]; i < start[u + 1]; ++i) {
        if (i + kAhead < positions) prefetch_row(row_at(groups.order[i + kAhead]), width);
        const std::int64_t p = groups.order[i];
        const T* const row = row_at(p);
        const float weight = terms.weight != nullptr ? terms.weight[p] : 1.0f;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < width; ++j) sum[j] += weight * static_cast<float>(row[j]);
      }
      const auto factor = static_cast<float>(terms.scale);
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t j = 0; j < width; ++j) store(to[j], sum[j] * factor);
    }
  });
}

template GatherRows<float>::Signature GatherRows<float>::fast;
template GatherRows<bfloat16>::Signature GatherRows<bfloat16>::fast;
template SumGroups<float>::Signature SumGroups<float>::fast;
template SumGroups<bfloat16>::Signature SumGroups<bfloat16>::fast;

}  // namespace capstan::kernels
