#include "autograd/kernels/accumulate.h"

#include <vector>

#include "autograd/core/storage.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {
namespace {

template <class T>
Strided<T> operand(const Tensor& t) {
  return {t.data<T>(), t.layout()};
}

template <class Word>
void copy_elements(const Tensor& from, const Tensor& to) {
  const auto first = [](const Tensor& t) { return reinterpret_cast<Word*>(t.storage().data()) + t.layout().offset(); };
  copy_words(Strided<const Word>{first(from), from.layout()}, Strided<Word>{first(to), to.layout()});
}

// Neighbouring axes that are either all summed or all kept.
struct AxisGroup {
  std::int64_t size;
  bool summed;
};

// Sums contiguous x group by group from the right; in between, sums are kept in the compute type.
template <class In, class T>
void sum_axes(const std::vector<AxisGroup>& groups, const In* x, T* y) {
  std::size_t last = groups.size(), summed = 0;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (groups[g].summed) last = g, ++summed;
  std::int64_t outer = 1, inner = 1;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (g != last) (g < last ? outer : inner) *= groups[g].size;
  if (summed == 1) return KernelFor<In, SumAxis<In, T>>{}(outer, groups[last].size, inner, x, y);
  std::vector<AxisGroup> rest;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (g != last) rest.push_back(groups[g]);
  const Storage scratch(static_cast<std::size_t>(outer * inner) * sizeof(Compute<T>));
  auto* const partial = reinterpret_cast<Compute<T>*>(scratch.data());
  KernelFor<In, SumAxis<In, Compute<T>>>{}(outer, groups[last].size, inner, x, partial);
  sum_axes(rest, partial, y);
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  require<InternalError>(from.spec() == to.spec(), "copy: from and to must agree: from ", from, ", to ", to);
  if (to.numel() == 0) return;
  const profile::Scope scope("Copy", profile::Kind::conversion);
  switch (size_of(to.dtype())) {
    case 1: return copy_elements<std::uint8_t>(from, to);
    case 2: return copy_elements<std::uint16_t>(from, to);
    case 4: return copy_elements<std::uint32_t>(from, to);
    default: return copy_elements<std::uint64_t>(from, to);
  }
}

void convert(const Tensor& from, const Tensor& to) {
  require<InternalError>(from.shape() == to.shape() && to.is_contiguous(), "convert: to must be contiguous and of from's shape: from ",
                         from, ", to ", to);
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
    KernelFor<T, AddInto<T>>{}(operand<const T>(from), operand<T>(to));
  });
}

void sum_to_shape(const Tensor& from, const Tensor& to) {
  const bool wide = from.dtype() == DType::bf16 && to.dtype() == DType::f32;
  const bool fits = (from.dtype() == to.dtype() || wide) && broadcasts_to(to.shape(), from.shape()) && to.is_contiguous();
  require<InternalError>(fits, "sum_to_shape: to must be contiguous, broadcast to from and of its type or f32: from ", from, ", to ", to);
  if (to.numel() == 0) return;
  std::vector<AxisGroup> groups;
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
  if (!any) {  // only axes of size 1 differ
    const Tensor same = to.view(*to.layout().reshape(from.shape()));
    return wide ? convert(from, same) : copy(from, same);
  }
  Tensor x = from;
  if (!from.is_contiguous()) {
    x = Tensor(from.spec());
    copy(from, x);
  }
  dispatch_floating("sum_to_shape", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (wide) {
      sum_axes(groups, x.data<const T>(), to.data<Compute<T>>());
    } else {
      sum_axes(groups, x.data<const T>(), to.data<T>());
    }
  });
}

}  // namespace capstan::kernels
