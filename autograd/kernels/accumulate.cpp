#include "autograd/kernels/accumulate.h"

#include <vector>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/openmp/accumulate.h"
#include "autograd/kernels/reference/accumulate.h"

namespace capstan::kernels {
namespace {

template <class T>
Strided<T> operand(const Tensor& t) {
  return {t.data<T>(), t.layout()};
}

template <class Word>
void copy_words(const Tensor& from, const Tensor& to) {
  const auto first = [](const Tensor& t) {
    return reinterpret_cast<Word*>(t.storage().data()) + t.layout().offset();
  };
  openmp::copy(Strided<const Word>{first(from), from.layout()}, Strided<Word>{first(to), to.layout()});
}

template <class T>
bool runs_on_reference() {
  return std::is_same_v<T, double> || backend() == Backend::reference;
}

template <class In, class Out>
void sum_middle(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y) {
  if constexpr (!std::is_same_v<In, double>) {
    if (backend() == Backend::fast) return openmp::sum_middle(outer, count, inner, x, y);
  }
  reference::sum_middle(outer, count, inner, x, y);
}

// Neighbouring axes that are either all summed or all kept.
struct Group {
  std::int64_t size;
  bool summed;
};

// Sums contiguous x group by group from the right; in between, sums are kept in the compute type.
template <class In, class T>
void sum_groups(const std::vector<Group>& groups, const In* x, T* y) {
  std::size_t last = groups.size(), summed = 0;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (groups[g].summed) last = g, ++summed;
  std::int64_t outer = 1, inner = 1;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (g != last) (g < last ? outer : inner) *= groups[g].size;
  if (summed == 1) return sum_middle(outer, groups[last].size, inner, x, y);
  std::vector<Group> rest;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (g != last) rest.push_back(groups[g]);
  const Storage scratch(static_cast<std::size_t>(outer * inner) * sizeof(Compute<T>));
  auto* const partial = reinterpret_cast<Compute<T>*>(scratch.data());
  sum_middle(outer, groups[last].size, inner, x, partial);
  sum_groups(rest, partial, y);
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  require<InternalError>(from.spec() == to.spec(), "copy: from and to must agree: from ", from, ", to ", to);
  if (to.numel() == 0) return;
  switch (size_of(to.dtype())) {
    case 1: return copy_words<std::uint8_t>(from, to);
    case 2: return copy_words<std::uint16_t>(from, to);
    case 4: return copy_words<std::uint32_t>(from, to);
    default: return copy_words<std::uint64_t>(from, to);
  }
}

void convert(const Tensor& from, const Tensor& to) {
  require<InternalError>(from.shape() == to.shape() && to.is_contiguous(), "convert: to must be contiguous and of from's shape: from ", from,
                         ", to ", to);
  const auto first = [](const Tensor& t) {
    return t.storage().data() + static_cast<std::size_t>(t.layout().offset()) * size_of(t.dtype());
  };
  convert_type(from.dtype(), first(from), from.layout(), to.dtype(), first(to));
}

void add_into(const Tensor& from, const Tensor& to) {
  require<InternalError>(from.spec() == to.spec(), "add_into: to must be like from: from ", from, ", to ", to);
  if (to.numel() == 0) return;
  dispatch_floating("add_into", to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, double>) {
      if (!runs_on_reference<T>()) return openmp::add_into(operand<const T>(from), operand<T>(to));
    }
    reference::add_into(operand<const T>(from), operand<T>(to));
  });
}

void sum_to_shape(const Tensor& from, const Tensor& to) {
  const bool fits = from.dtype() == to.dtype() && broadcasts_to(to.shape(), from.shape()) && to.is_contiguous();
  require<InternalError>(fits, "sum_to_shape: to must be contiguous and broadcast to from: from ", from, ", to ", to);
  if (to.numel() == 0) return;
  std::vector<Group> groups;
  bool any = false;
  for (int axis = 0; axis < from.rank(); ++axis) {
    const std::int64_t size = from.size(axis);
    if (size == 1) continue;
    const int aligned = axis - from.rank() + to.rank();
    const bool summed = aligned < 0 || to.size(aligned) == 1;
    any = any || summed;
    if (!groups.empty() && groups.back().summed == summed) {
      groups.back().size *= size;
    } else {
      groups.push_back({size, summed});
    }
  }
  if (!any) return copy(from, to.view(*to.layout().reshape(from.shape())));  // only axes of size 1 differ
  Tensor x = from;
  if (!from.is_contiguous()) {
    x = Tensor(from.spec());
    copy(from, x);
  }
  dispatch_floating("sum_to_shape", to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_groups(groups, static_cast<const T*>(x.data<T>()), to.data<T>());
  });
}

void scatter_add_rows(const Tensor& indices, const Tensor& rows, const Tensor& table) {
  const bool fits = indices.rank() == 1 && rows.rank() == table.rank() && rows.rank() >= 1 && rows.size(0) == indices.size(0) &&
                    rows.shape().without(0) == table.shape().without(0) && rows.dtype() == table.dtype() && table.is_contiguous();
  require<InternalError>(fits, "scatter_add_rows: rows must fit the table: indices ", indices, ", rows ", rows, ", table ", table);
  const Tensor index = indices.contiguous(), row = rows.contiguous();
  const std::int64_t count = index.numel(), width = table.shape().without(0).numel();
  const std::int64_t* const i = index.data<const std::int64_t>();
  for (std::int64_t k = 0; k < count; ++k)
    require(i[k] >= 0 && i[k] < table.size(0), "scatter_add_rows: every index must name a row of the table: table ", table, ", index ", k,
            " is ", i[k]);
  dispatch_floating("scatter_add_rows", table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, double>) {
      if (!runs_on_reference<T>()) return openmp::scatter_add_rows(count, width, i, row.data<const T>(), table.data<T>());
    }
    reference::scatter_add_rows(count, width, i, row.data<const T>(), table.data<T>());
  });
}

}  // namespace capstan::kernels
