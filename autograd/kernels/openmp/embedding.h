#pragma once
// The fast form of kernels/embedding.h for T in {float, bfloat16}.

#include "autograd/kernels/embedding.h"

namespace capstan::kernels::openmp {

template <class T>
void gather_rows(const T* table, const RowSelection& selection, std::int64_t width, double scale, T* out);
template <class T>
void sum_groups(const RowGroups& groups, const GroupTerms<T>& terms, std::int64_t width, GroupTarget target, T* out);

}  // namespace capstan::kernels::openmp
