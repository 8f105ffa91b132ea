// The specification of kernels/indexed_rows.h.

#include "autograd/kernels/indexed_rows.h"

namespace capstan::kernels {

template <class T>
void GatherRows<T>::reference(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out) {
  using C = Compute<T>;
  for (const std::int64_t row : selection.indices)
    for (std::int64_t j = 0; j < width; ++j)
      *out++ = static_cast<T>(row == selection.padding ? C(0) : static_cast<C>(table[row * width + j]) * static_cast<C>(scale));
}

template <class T>
void SumGroups<T>::reference(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out) {
  using C = Compute<T>;
  for (std::int64_t u = 0; u < groups.count; ++u) {
    T* const to = out + (target == GroupTarget::group_number ? u : groups.row[u]) * width;
    for (std::int64_t j = 0; j < width; ++j) {
      C sum = target == GroupTarget::onto_table_row ? static_cast<C>(to[j]) : C(0);
      for (std::int64_t i = groups.start[u]; i < groups.start[u + 1]; ++i) {
        const std::int64_t p = groups.order[i];
        sum += (terms.weight != nullptr ? terms.weight[p] : C(1)) * static_cast<C>(terms.rows[p / terms.positions_per_row * width + j]);
      }
      to[j] = static_cast<T>(sum * static_cast<C>(terms.scale));
    }
  }
}

template GatherRows<float>::Signature GatherRows<float>::reference;
template GatherRows<bfloat16>::Signature GatherRows<bfloat16>::reference;
template GatherRows<double>::Signature GatherRows<double>::reference;
template SumGroups<float>::Signature SumGroups<float>::reference;
template SumGroups<bfloat16>::Signature SumGroups<bfloat16>::reference;
template SumGroups<double>::Signature SumGroups<double>::reference;

}  // namespace capstan::kernels
