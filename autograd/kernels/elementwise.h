#pragma once
// Element by element: unary and binary functions with their derivatives, selection, conversion, and bias + activation in one pass.
//
// T is float, bfloat16 (computed in float) or double. Operands are strided and expanded to the common shape; results are contiguous.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/functions.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels {

/// Which operand of a binary function a gradient is of.
enum class Operand { a, b };

/// The kernels for one element type.
template <class T>
struct Elementwise {
  using Input = Strided<const T>;

  /// y = f(x).
  static void unary(const UnaryFunction& f, const Input& x, T* y);
  /// dx = dy * f.slope(kept); for a function that keeps nothing, kept is not read (pass dy).
  static void unary_gradient(const UnaryFunction& f, const Input& dy, const Input& kept, T* dx);
  /// y = f(a, b).
  static void binary(const BinaryFunction& f, const Input& a, const Input& b, T* y);
  /// da = dy * f.slope_a(a, b), or db = dy * f.slope_b(a, b).
  static void binary_gradient(const BinaryFunction& f, Operand of, const Input& dy, const Input& a, const Input& b, T* d);
  /// y = mask ? a : b.
  static void select(const Strided<const std::uint8_t>& mask, const Input& a, const Input& b, T* y);
  /// y[r, c] = f(x[r, c] + bias[c]); contiguous.
  static void bias_activation(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y);
  /// dx[r, c] = dy[r, c] * f'(x[r, c] + bias[c]) and dbias[c] = sum over r of dx[r, c], in one pass. `kept` is x for a function that keeps
  /// its input, y for one that keeps its output (then bias is not read). The order of summation depends on the sizes alone.
  static void bias_activation_gradient(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept,
                                       const T* bias, T* dx, T* dbias);
};

/// y = x in another type, any two types. Into integers as static_cast does (toward zero); what does not fit there is undefined.
void convert_type(DType from, const void* x, const Layout& layout, DType to, void* y);

}  // namespace capstan::kernels
