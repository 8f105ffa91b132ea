#pragma once
// Fast kernels of elementwise.h for T in {float, bfloat16}; the contracts are there.

#include <cstdint>

#include "autograd/kernels/elementwise.h"

namespace capstan::kernels::openmp {

template <class T>
struct Unary {
  using Input = Strided<const T>;
  static void value(const UnaryFunction& f, const Input& x, T* y);
  static void gradient(const UnaryFunction& f, const Input& dy, const Input& kept, T* dx);
};

template <class T>
struct Binary {
  using Input = Strided<const T>;
  static void value(const BinaryFunction& f, const Input& a, const Input& b, T* y);
  static void gradient(const BinaryFunction& f, Operand of, const Input& dy, const Input& a, const Input& b, T* d);
  static void select(const Strided<const std::uint8_t>& mask, const Input& a, const Input& b, T* y);
};

template <class T>
struct BiasActivation {
  static void value(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y);
  static void gradient(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept, const T* bias, T* dx,
                       T* dbias);
};

/// Between float and bfloat16.
template <class From, class To>
void convert_type(const Strided<const From>& x, To* y);

}  // namespace capstan::kernels::openmp
