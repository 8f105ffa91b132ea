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
  if (numel() == 0) return out;
  // Old axes that lie row-major to each other form runs; each new axis must divide what is left of the run it falls into.
  int axis = to.rank() - 1;
  for (int i = shape_.rank() - 1; i >= 0;) {
    if (shape_[i] == 1) {  // its stride means nothing
      --i;
      continue;
    }
    std::int64_t stride = this->stride(i), run = shape_[i];
    for (--i; i >= 0 && (shape_[i] == 1 || this->stride(i) == stride * run); --i) run *= shape_[i];
    for (; run > 1; --axis) {
      if (run % to[axis] != 0) return std::nullopt;
      out.strides_[static_cast<std::size_t>(axis)] = stride;
      stride *= to[axis];
      run /= to[axis];
    }
  }
  for (; axis >= 0; --axis) out.strides_[static_cast<std::size_t>(axis)] = 1;  // only sizes 1 are left
  return out;
}

}  // namespace capstan
