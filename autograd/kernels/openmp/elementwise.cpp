// The binary functions, selection and conversion of openmp/elementwise.h.

#include "autograd/kernels/openmp/elementwise.h"

#include <variant>

#include "autograd/kernels/openmp/map.h"

namespace capstan::kernels::openmp {

template <class T>
void Binary<T>::value(const BinaryFunction& f, const Input& a, const Input& b, T* y) {
  std::visit([&](const auto& g) { map([g](auto u, auto v) { return g.value(u, v); }, kGrain, y, a, b); }, f);
}

template <class T>
void Binary<T>::gradient(const BinaryFunction& f, Operand of, const Input& dy, const Input& a, const Input& b, T* d) {
  std::visit(
      [&](const auto& g) {
        if (of == Operand::a) {
          map([g](auto e, auto u, auto v) { return e * g.slope_a(u, v); }, kGrain, d, dy, a, b);
        } else {
          map([g](auto e, auto u, auto v) { return e * g.slope_b(u, v); }, kGrain, d, dy, a, b);
        }
      },
      f);
}

template <class T>
void Binary<T>::select(const Strided<const std::uint8_t>& mask, const Input& a, const Input& b, T* y) {
  map([](std::uint8_t m, auto u, auto v) { return m != 0 ? u : v; }, kGrain, y, mask, a, b);
}

template <class From, class To>
void convert_type(const Strided<const From>& x, To* y) {
  map([](auto v) { return v; }, kGrain, y, x);
}

template struct Binary<float>;
template struct Binary<bfloat16>;
template void convert_type(const Strided<const float>&, bfloat16*);
template void convert_type(const Strided<const bfloat16>&, float*);

}  // namespace capstan::kernels::openmp
