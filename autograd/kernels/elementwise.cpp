#include "autograd/kernels/elementwise.h"

#include <type_traits>
#include <variant>

#include "autograd/core/tensor.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/elementwise.h"
#include "autograd/kernels/reference/elementwise.h"

namespace capstan::kernels {
namespace {

template <class T>
inline constexpr bool has_fast = std::is_same_v<T, float> || std::is_same_v<T, bfloat16>;

}  // namespace

template <class T>
void Elementwise<T>::unary(const UnaryFunction& f, const Input& x, T* y) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::Unary<T>::value(f, x, y);
  }
  std::visit([&](const auto& g) { reference::map([&](auto v) { return g.value(v); }, y, x); }, f);
}

template <class T>
void Elementwise<T>::unary_gradient(const UnaryFunction& f, const Input& dy, const Input& kept, T* dx) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::Unary<T>::gradient(f, dy, kept, dx);
  }
  std::visit([&](const auto& g) { reference::map([&](auto d, auto v) { return d * g.slope(v); }, dx, dy, kept); }, f);
}

template <class T>
void Elementwise<T>::binary(const BinaryFunction& f, const Input& a, const Input& b, T* y) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::Binary<T>::value(f, a, b, y);
  }
  std::visit([&](const auto& g) { reference::map([&](auto u, auto v) { return g.value(u, v); }, y, a, b); }, f);
}

template <class T>
void Elementwise<T>::binary_gradient(const BinaryFunction& f, Operand of, const Input& dy, const Input& a, const Input& b, T* d) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::Binary<T>::gradient(f, of, dy, a, b, d);
  }
  const bool of_a = of == Operand::a;
  std::visit(
      [&](const auto& g) {
        reference::map([&](auto e, auto u, auto v) { return e * (of_a ? g.slope_a(u, v) : g.slope_b(u, v)); }, d, dy, a, b);
      },
      f);
}

template <class T>
void Elementwise<T>::select(const Strided<const std::uint8_t>& mask, const Input& a, const Input& b, T* y) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::Binary<T>::select(mask, a, b, y);
  }
  reference::map([](std::uint8_t m, auto u, auto v) { return m != 0 ? u : v; }, y, mask, a, b);
}

template <class T>
void Elementwise<T>::bias_activation(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::BiasActivation<T>::value(f, rows, columns, x, bias, y);
  }
  const Shape shape{rows, columns};
  const Strided<const T> xs{x, Layout(shape)}, biases{bias, Layout(Shape{columns}).expand(shape)};
  std::visit([&](const auto& g) { reference::map([&](auto v, auto b) { return g.value(v + b); }, y, xs, biases); }, f);
}

template <class T>
void Elementwise<T>::bias_activation_gradient(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept,
                                              const T* bias, T* dx, T* dbias) {
  if constexpr (has_fast<T>) {
    if (backend() == Backend::fast) return openmp::BiasActivation<T>::gradient(f, rows, columns, dy, kept, bias, dx, dbias);
  }
  std::visit([&](const auto& g) { reference::bias_activation_gradient(g, rows, columns, dy, kept, bias, dx, dbias); }, f);
}

template struct Elementwise<float>;
template struct Elementwise<bfloat16>;
template struct Elementwise<double>;

void convert_type(DType from, const void* x, const Layout& layout, DType to, void* y) {
  dispatch(from, [&](auto from_zero) {
    dispatch(to, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      const Strided<const From> operand{static_cast<const From*>(x), layout};
      if constexpr (has_fast<From> && has_fast<To> && !std::is_same_v<From, To>) {
        if (backend() == Backend::fast) return openmp::convert_type(operand, static_cast<To*>(y));
      }
      reference::map([](auto v) { return v; }, static_cast<To*>(y), operand);
    });
  });
}

}  // namespace capstan::kernels
