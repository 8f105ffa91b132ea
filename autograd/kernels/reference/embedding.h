#pragma once
// The specification of kernels/embedding.h.

#include "autograd/kernels/embedding.h"

namespace capstan::kernels::reference {

template <class T>
void gather_rows(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out) {
  using C = Compute<T>;
  for (const std::int64_t row : selection.indices)
    for (std::int64_t j = 0; j < width; ++j)
      *out++ = static_cast<T>(row == selection.padding ? C(0) : static_cast<C>(table[row * width + j]) * static_cast<C>(scale));
}

template <class T>
void sum_groups(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out) {
  using C = Compute<T>;
  for (std::int64_t u = 0; u < groups.count; ++u) {
    for (std::int64_t j = 0; j < width; ++j) {
      C sum = 0;
      for (std::int64_t i = groups.start[u]; i < groups.start[u + 1]; ++i) {
        const std::int64_t p = groups.order[i];
        sum += (terms.weight != nullptr ? terms.weight[p] : C(1)) * static_cast<C>(terms.rows[p / terms.positions_per_row * width + j]);
      }
      out[(target == GroupTarget::table_row ? groups.row[u] : u) * width + j] = static_cast<T>(sum * static_cast<C>(terms.scale));
    }
  }
}

}  // namespace capstan::kernels::reference
