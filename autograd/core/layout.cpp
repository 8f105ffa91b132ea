#include "autograd/core/layout.h"

#include <utility>

#include "autograd/core/error.h"

namespace capstan {

Layout::Layout(const Shape& shape) : shape_(shape) {
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides_[static_cast<std::size_t>(i)] = stride;
    stride *= shape[i];
  }
}

bool Layout::is_contiguous() const {
  std::int64_t expected = 1;
  for (int i = shape_.rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[static_cast<std::size_t>(i)] != expected) return numel() == 0;
    expected *= shape_[i];
  }
  return true;
}

std::int64_t Layout::extent() const {
  if (numel() == 0) return 0;
  std::int64_t last = offset_;
  for (int i = 0; i < shape_.rank(); ++i) last += (shape_[i] - 1) * stride(i);
  return last + 1;
}

Layout Layout::permute(std::span<const int> order) const {
  const auto rank = static_cast<std::size_t>(shape_.rank());
  require(order.size() == rank, "permute: the order must name every axis once: x ", shape_, ", ", order.size(), " axes given");
  std::array<std::int64_t, kMaxRank> sizes{}, strides{};
  std::array<bool, kMaxRank> seen{};
  for (std::size_t i = 0; i < rank; ++i) {
    const auto from = static_cast<std::size_t>(shape_.normalize(order[i]));
    require(!seen[from], "permute: the order must name every axis once: x ", shape_, ", axis ", from, " named twice");
    seen[from] = true;
    sizes[i] = shape_[static_cast<int>(from)];
    strides[i] = strides_[from];
  }
  Layout out = *this;
  out.shape_ = Shape(std::span(sizes.data(), rank));
  out.strides_ = strides;
  return out;
}

Layout Layout::transpose(int a, int b) const {
  std::array<int, kMaxRank> order{};
  for (int i = 0; i < shape_.rank(); ++i) order[static_cast<std::size_t>(i)] = i;
  std::swap(order[static_cast<std::size_t>(shape_.normalize(a))], order[static_cast<std::size_t>(shape_.normalize(b))]);
  return permute(std::span(order.data(), static_cast<std::size_t>(shape_.rank())));
}

Layout Layout::slice(int axis, std::int64_t start, std::int64_t length, std::int64_t step) const {
  const int a = shape_.normalize(axis);
  const bool ok = step >= 1 && start >= 0 && length >= 0 && (length == 0 || start + (length - 1) * step < shape_[a]);
  require(ok, "slice: the range must lie inside the axis: x ", shape_, ", axis ", a, " has ", shape_[a], ", start ", start, ", length ",
          length, ", step ", step);
  Layout out = *this;
  out.shape_ = shape_.with(a, length);
  out.offset_ += length == 0 ? 0 : start * stride(a);
  out.strides_[static_cast<std::size_t>(a)] *= step;
  return out;
}

Layout Layout::expand(const Shape& to) const {
  require(broadcasts_to(shape_, to), "expand: sizes must be equal or 1, aligned right: x ", shape_, ", to ", to);
  Layout out;
  out.shape_ = to;
  out.offset_ = offset_;
  for (int i = 1; i <= to.rank(); ++i) {
    const bool repeated = i > shape_.rank() || (shape_[-i] == 1 && to[-i] != 1);
    out.strides_[static_cast<std::size_t>(to.rank() - i)] = repeated ? 0 : stride(-i);
  }
  return out;
}

std::optional<Layout> Layout::reshape(const Shape& to) const {
  require(to.numel() == numel(), "reshape: the number of elements must not change: x ", shape_, " has ", numel(), ", ", to, " has ",
          to.numel());
  Layout out(to);
  out.offset_ = offset_;
  if (is_contiguous()) return out;
  // Walk both shapes from the right in groups of equal element count; a group of old axes must be mergeable.
  int from = shape_.rank() - 1, axis = to.rank() - 1;
  while (from >= 0 && axis >= 0) {
    std::int64_t stride = strides_[static_cast<std::size_t>(from)];
    std::int64_t have = shape_[from], want = to[axis];
    out.strides_[static_cast<std::size_t>(axis)] = stride;
    std::int64_t next = stride * to[axis];
    while (have != want) {
      if (have < want) {
        --from;
        if (shape_[from] != 1 && have != 1 && strides_[static_cast<std::size_t>(from)] != strides_[static_cast<std::size_t>(from + 1)] * shape_[from + 1])
          return std::nullopt;
        if (have == 1) return std::nullopt;
        have *= shape_[from];
      } else {
        --axis;
        out.strides_[static_cast<std::size_t>(axis)] = next;
        next *= to[axis];
        want *= to[axis];
      }
    }
    --from, --axis;
  }
  for (; axis >= 0; --axis) out.strides_[static_cast<std::size_t>(axis)] = 1;  // only sizes 1 are left
  return out;
}

}  // namespace capstan
