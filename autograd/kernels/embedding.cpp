#include "autograd/kernels/embedding.h"

#include <algorithm>
#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/embedding.h"
#include "autograd/kernels/reference/embedding.h"
#include "autograd/kernels/rows.h"

namespace capstan::kernels {
namespace {

std::int64_t count_used(std::span<const std::int64_t> indices) {
  return std::ranges::count_if(indices, [](std::int64_t i) { return i >= 0; });
}

}  // namespace

RowGroups::RowGroups(std::span<const std::int64_t> indices, std::int64_t table_rows)
    : row(count_used(indices)), start(row.size() + 1), order(row.size()) {
  const std::int64_t used = row.size();
  const Scratch<std::int64_t> compact(used), number(used);
  std::ranges::copy_if(indices, compact.data(), [](std::int64_t i) { return i >= 0; });
  count = coalesce(compact.span(), table_rows, row.span(), number.span());
  // A counting sort by group, which is stable.
  std::fill_n(start.data(), count + 1, 0);
  for (std::int64_t i = 0; i < used; ++i) ++start[number[i]];
  std::int64_t begin = 0;
  for (std::int64_t u = 0; u <= count; ++u) {
    const std::int64_t size = u < count ? start[u] : 0;
    start[u] = begin;
    begin += size;
  }
  std::int64_t position = 0, i = 0;
  for (const std::int64_t index : indices) {
    if (index >= 0) order[start[number[i++]]++] = position;
    ++position;
  }
  for (std::int64_t u = count; u > 0; --u) start[u] = start[u - 1];  // every start has moved to the end of its group
  start[0] = 0;
}

template <class T>
void gather_rows(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::gather_rows(table, selection, width, scale, out);
  reference::gather_rows(table, selection, width, scale, out);
}

template <class T>
void sum_groups(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::sum_groups(groups, terms, width, target, out);
  reference::sum_groups(groups, terms, width, target, out);
}

template void gather_rows(const float*, const RowSelection&, std::int64_t, double, float*);
template void gather_rows(const bfloat16*, const RowSelection&, std::int64_t, double, bfloat16*);
template void gather_rows(const double*, const RowSelection&, std::int64_t, double, double*);
template void sum_groups(const RowGroups&, const GroupTerms<float>&, std::int64_t, GroupTarget, float*);
template void sum_groups(const RowGroups&, const GroupTerms<bfloat16>&, std::int64_t, GroupTarget, bfloat16*);
template void sum_groups(const RowGroups&, const GroupTerms<double>&, std::int64_t, GroupTarget, double*);

}  // namespace capstan::kernels
