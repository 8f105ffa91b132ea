#pragma once
// Tensor: a cheap handle — storage, layout, element type, and where the value stands on a tape. Copying shares the memory.
//
// It is *not* a place for arithmetic: operations are functions in autograd/ops, views that must be differentiable too. What would cut a
// recorded value off its tape (view, clone, a contiguous copy) throws GraphError: there is an op for it, or detach() says that it is meant.
// Invariants: the layout lies inside the storage; an undefined tensor (default constructed) has no storage and stands for
// "absent" in optional arguments.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/error.h"
#include "autograd/core/layout.h"
#include "autograd/core/storage.h"

namespace capstan {

/// What an operation must know of an operand before it computes: shape and element type, and whether there is one at all.
struct Spec {
  Shape shape = {};
  DType dtype = DType::f32;
  bool present = true;  ///< false: an optional operand that was left out; shape and dtype then say nothing

  static Spec absent() { return {.shape = {}, .dtype = DType::f32, .present = false}; }
  bool operator==(const Spec&) const = default;
};
std::string to_text(const Spec& s);  // "f32[2, 3]", "none"

/// Where a value stands: nowhere (a constant), a leaf whose gradient is wanted, or a slot of one tape.
struct NodeRef {
  enum class Kind : std::uint8_t { constant, leaf, slot };
  Kind kind = Kind::constant;
  std::uint64_t owner = 0;  ///< leaf: its number; slot: the number of the tape
  std::int64_t slot = -1;
};

class Tensor {
 public:
  Tensor() = default;  ///< undefined
  /// New memory, content undefined.
  explicit Tensor(const Shape& shape, DType dtype = DType::f32);
  explicit Tensor(const Spec& spec) : Tensor(spec.shape, spec.dtype) {}

  static Tensor zeros(const Shape& shape, DType dtype = DType::f32) { return full(shape, 0.0, dtype); }
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  static Tensor scalar(double value, DType dtype = DType::f32) { return full(Shape{}, value, dtype); }
  /// A copy of `values` in row-major order. Throws ShapeError if the count is not shape.numel().
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape) {
    return copy_of(values.data(), values.size(), shape, dtype_of<T>);
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  template <class T>
  static Tensor from(std::initializer_list<T> values, const Shape& shape) {
    return from(std::span<const T>(values.begin(), values.size()), shape);
  }

  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  Tensor& operator=(const Tensor&) && = delete;  // f() = x is a mistake
  ~Tensor() = default;

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return layout_.shape(); }
  std::int64_t size(int axis) const { return shape()[axis]; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return layout_.numel(); }
  DType dtype() const { return dtype_; }
  Spec spec() const { return defined() ? Spec{shape(), dtype_} : Spec::absent(); }
  const Layout& layout() const { return layout_; }
  const Storage& storage() const { return storage_; }
  bool is_contiguous() const { return layout_.is_contiguous(); }

  /// The first element. Throws DTypeError if T is not the element type.
  template <class T>
  T* data() const {
    require<DTypeError>(defined() && dtype_of<std::remove_const_t<T>> == dtype_, "tensor: elements are ", dtype_, ", asked for ",
                        dtype_of<std::remove_const_t<T>>);
    return reinterpret_cast<T*>(storage_.data()) + layout_.offset();
  }
  /// All elements of a contiguous tensor. Throws ShapeError if it is strided.
  template <class T>
  std::span<T> span() const {
    require(is_contiguous(), "tensor: needs a contiguous tensor, got a strided view of shape ", shape());
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  /// The only element, converted to double.
  double item() const;
  /// All elements in row-major order, converted.
  std::vector<double> to_vector() const;

  /// Another layout over the same memory. Throws GraphError unless this is a constant; the differentiable views are ops/shape_ops.h.
  Tensor view(const Layout& layout) const;
  /// This tensor if it is contiguous, else a contiguous copy. Throws GraphError where a copy would be needed of what is not a constant;
  /// the differentiable copy is the op of this name.
  Tensor contiguous() const;
  /// A copy with memory of its own. Throws GraphError unless this is a constant.
  Tensor clone() const;
  /// The same value as a constant.
  Tensor detach() const;

  const NodeRef& node() const { return node_; }
  /// True unless it is a leaf or stands on a tape.
  bool is_constant() const { return node_.kind == NodeRef::Kind::constant; }
  Tensor with_node(const NodeRef& node) const;

 private:
  static Tensor copy_of(const void* values, std::size_t count, const Shape& shape, DType dtype);

  Storage storage_;
  Layout layout_;
  DType dtype_ = DType::f32;
  NodeRef node_;
};

/// Marks a constant of a floating type as a leaf: tapes that see it keep its gradient. Copies of the result are the same leaf. Throws
/// GraphError for a leaf or a value on a tape (detach() it if a new beginning is meant), DTypeError for an integer type.
Tensor make_leaf(const Tensor& value);

std::string to_text(const Tensor& t);  // "f32[2, 3]"

/// Calls f with a value-initialised T of the tensor's element type: dispatch(t.dtype(), [&](auto zero) { using T = decltype(zero); ... }).
template <class F>
decltype(auto) dispatch(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::bf16: return f(bfloat16{});
    case DType::f64: return f(double{});
    case DType::i32: return f(std::int32_t{});
    case DType::i64: return f(std::int64_t{});
    case DType::u8: return f(std::uint8_t{});
  }
  throw InternalError("dispatch: unknown element type");
}

/// The same for floating types only. Throws DTypeError naming `op` otherwise.
template <class F>
decltype(auto) dispatch_floating(std::string_view op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::bf16: return f(bfloat16{});
    case DType::f64: return f(double{});
    default: throw DTypeError(join_text(op, ": needs a floating type, got ", dtype));
  }
}

}  // namespace capstan
