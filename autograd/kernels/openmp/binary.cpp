// The binary functions, selection and conversion of kernels/elementwise.h.

#include "autograd/kernels/openmp/vector_math.h"

#include <variant>

#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/openmp/inline_functions.h"
#include "autograd/kernels/openmp/map.h"

namespace capstan::kernels {

template <class T>
void Binary<T>::fast(const BinaryFunction& f, const Strided<const T>& a, const Strided<const T>& b, T* y) {
  std::visit([&](const auto& g) { map([h = written_out(g)](auto u, auto v) { return h.value(u, v); }, kGrain, y, a, b); }, f);
}

template <class T>
void BinaryGradient<T>::fast(const BinaryFunction& f, Operand of, const Strided<const T>& dy, const Strided<const T>& a,
                             const Strided<const T>& b, T* d) {
  std::visit(
      [&](const auto& g) {
        if (of == Operand::a) {
          map([h = written_out(g)](auto e, auto u, auto v) { return e * h.slope_a(u, v); }, kGrain, d, dy, a, b);
        } else {
          map([h = written_out(g)](auto e, auto u, auto v) { return e * h.slope_b(u, v); }, kGrain, d, dy, a, b);
        }
      },
      f);
}

template <class T>
void Select<T>::fast(const Strided<const std::uint8_t>& mask, const Strided<const T>& a, const Strided<const T>& b, T* y) {
  map([](std::uint8_t m, auto u, auto v) { return m != 0 ? u : v; }, kGrain, y, mask, a, b);
}

template <class From, class To>
void Conversion<From, To>::fast(const Strided<const From>& x, To* y) {
  map([](auto v) { return v; }, kGrain, y, x);
}

template Binary<float>::Signature Binary<float>::fast;
template Binary<bfloat16>::Signature Binary<bfloat16>::fast;
template BinaryGradient<float>::Signature BinaryGradient<float>::fast;
template BinaryGradient<bfloat16>::Signature BinaryGradient<bfloat16>::fast;
template Select<float>::Signature Select<float>::fast;
template Select<bfloat16>::Signature Select<bfloat16>::fast;
template Conversion<float, bfloat16>::Signature Conversion<float, bfloat16>::fast;
template Conversion<bfloat16, float>::Signature Conversion<bfloat16, float>::fast;

}  // namespace capstan::kernels
