#include "autograd/core/tensor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

namespace capstan {
namespace {

// Copies a strided tensor to row-major order, element by element of `T`'s size; the innermost axis is a tight loop.
template <class T>
void copy_strided(const T* from, const Layout& layout, T* to) {
  const Shape& shape = layout.shape();
  if (shape.rank() == 0) {
    *to = *from;
    return;
  }
  const int inner = shape.rank() - 1;
  const std::int64_t count = shape[inner], stride = layout.stride(inner);
  if (layout.numel() == 0) return;
  std::array<std::int64_t, kMaxRank> index{};
  for (;;) {
    if (stride == 1) {
      std::copy_n(from, count, to);
    } else {
      for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
    }
    to += count;
    int axis = inner - 1;
    for (; axis >= 0; --axis) {
      auto& i = index[static_cast<std::size_t>(axis)];
      from += layout.stride(axis);
      if (++i < shape[axis]) break;
      from -= layout.stride(axis) * shape[axis];
      i = 0;
    }
    if (axis < 0) return;
  }
}

// Throws unless t is a constant: what `what` returns would have no way back to it.
void require_constant(const char* what, const Tensor& t) {
  require<GraphError>(t.is_constant(), what, ": the result would be cut off the tape on which ", t,
                      " stands: use the op, or detach() it first");
}

}  // namespace

std::string to_text(const Spec& s) { return s.present ? to_text(s.dtype) + to_text(s.shape) : "none"; }
std::string to_text(const Tensor& t) { return t.defined() ? to_text(t.spec()) : "undefined"; }

Tensor::Tensor(const Shape& shape, DType dtype)
    : storage_(static_cast<std::size_t>(checked_mul(shape.numel(), static_cast<std::int64_t>(size_of(dtype))))),
      layout_(shape),
      dtype_(dtype) {}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t(shape, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, bfloat16>) {
      std::ranges::fill(t.span<T>(), T(static_cast<float>(value)));
    } else {
      std::ranges::fill(t.span<T>(), static_cast<T>(value));
    }
  });
  return t;
}

Tensor Tensor::copy_of(const void* values, std::size_t count, const Shape& shape, DType dtype) {
  require(static_cast<std::int64_t>(count) == shape.numel(), "tensor: the values must fill the shape: ", shape, " has ", shape.numel(),
          " elements, ", count, " given");
  Tensor t(shape, dtype);
  if (count != 0) std::memcpy(t.storage_.data(), values, count * size_of(dtype));
  return t;
}

double Tensor::item() const {
  require(numel() == 1, "item: needs one element, got ", *this);
  return to_vector().front();
}

std::vector<double> Tensor::to_vector() const {
  const Tensor c = detach().contiguous();
  std::vector<double> out(static_cast<std::size_t>(numel()));
  dispatch(dtype_, [&](auto zero) {
    using T = decltype(zero);
    std::ranges::transform(c.span<const T>(), out.begin(), [](T v) { return static_cast<double>(v); });
  });
  return out;
}

Tensor Tensor::view(const Layout& layout) const {
  require_constant("view", *this);
  if (static_cast<std::size_t>(layout.extent()) * size_of(dtype_) > storage_.bytes())
    throw InternalError(join_text("view: layout ", layout.shape(), " reaches beyond the storage of ", *this));
  Tensor t = *this;
  t.layout_ = layout;
  return t;
}

Tensor Tensor::contiguous() const {
  if (is_contiguous()) return *this;
  require_constant("contiguous", *this);
  return clone();
}

Tensor Tensor::clone() const {
  require_constant("clone", *this);
  Tensor t(shape(), dtype_);
  dispatch(dtype_, [&](auto zero) {
    using T = decltype(zero);
    if (numel() != 0) copy_strided(data<const T>(), layout_, t.data<T>());
  });
  return t;
}

Tensor Tensor::detach() const { return with_node({}); }

Tensor Tensor::with_node(const NodeRef& node) const {
  Tensor t = *this;
  t.node_ = node;
  return t;
}

Tensor make_leaf(const Tensor& value) {
  require<GraphError>(value.is_constant(), "make_leaf: ", value, " is a leaf or stands on a tape already: detach() it to begin anew");
  require<DTypeError>(is_floating(value.dtype()), "make_leaf: only floating types have gradients: ", value);
  static std::atomic<std::uint64_t> next{1};
  return value.with_node({NodeRef::Kind::leaf, next++, -1});
}

}  // namespace capstan
