#pragma once
// Element by element: unary and binary functions with their derivatives, selection, conversion, and bias + activation in one pass.
//
// T is float, bfloat16 (computed in float) or double. Operands are strided and expanded to the common shape; results are contiguous.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/functions.h"
#include "autograd/kernels/numeric.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels {

/// y = f(x).
template <class T>
struct Unary {
  using Signature = void(const UnaryFunction& f, const Strided<const T>& x, T* y);
  static Signature fast, reference;
};
/// dx = dy * f.slope(kept); for a function that keeps nothing, kept is not read (pass dy).
template <class T>
struct UnaryGradient {
  using Signature = void(const UnaryFunction& f, const Strided<const T>& dy, const Strided<const T>& kept, T* dx);
  static Signature fast, reference;
};

/// y = f(a, b).
template <class T>
struct Binary {
  using Signature = void(const BinaryFunction& f, const Strided<const T>& a, const Strided<const T>& b, T* y);
  static Signature fast, reference;
};
/// Which operand of a binary function a gradient is of.
enum class Operand { a, b };
/// da = dy * f.slope_a(a, b), or db = dy * f.slope_b(a, b).
template <class T>
struct BinaryGradient {
  using Signature = void(const BinaryFunction& f, Operand of, const Strided<const T>& dy, const Strided<const T>& a,
                         const Strided<const T>& b, T* d);
  static Signature fast, reference;
};

/// y = mask ? a : b.
template <class T>
struct Select {
  using Signature = void(const Strided<const std::uint8_t>& mask, const Strided<const T>& a, const Strided<const T>& b, T* y);
  static Signature fast, reference;
};

/// y[r, c] = f(x[r, c] + bias[c]); contiguous.
template <class T>
struct BiasActivation {
  using Signature = void(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y);
  static Signature fast, reference;
};
/// dx[r, c] = dy[r, c] * f'(x[r, c] + bias[c]) and dbias[c] = sum over r of dx[r, c], in one pass. `kept` is x for a function that keeps
/// its input, y for one that keeps its output (then bias is not read). The order of summation depends on the sizes alone; dbias is not
/// rounded to T.
template <class T>
struct BiasActivationGradient {
  using Signature = void(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept, const T* bias, T* dx,
                         Compute<T>* dbias);
  static Signature fast, reference;
};

/// The kernels for one element type.
template <class T>
struct Elementwise {
  static constexpr KernelFor<T, Unary<T>> unary{};
  static constexpr KernelFor<T, UnaryGradient<T>> unary_gradient{};
  static constexpr KernelFor<T, Binary<T>> binary{};
  static constexpr KernelFor<T, BinaryGradient<T>> binary_gradient{};
  static constexpr KernelFor<T, Select<T>> select{};
  static constexpr KernelFor<T, BiasActivation<T>> bias_activation{};
  static constexpr KernelFor<T, BiasActivationGradient<T>> bias_activation_gradient{};
};

/// y = x in another type. Fast from f32 to bf16 and back.
template <class From, class To>
struct Conversion {
  static constexpr profile::Kind kind = profile::Kind::conversion;
  using Signature = void(const Strided<const From>& x, To* y);
  static Signature fast, reference;
};
/// y = x in another type, any two types. Into integers as static_cast does (toward zero); what does not fit there is undefined.
void convert_type(DType from, const void* x, const Layout& layout, DType to, void* y);

}  // namespace capstan::kernels
