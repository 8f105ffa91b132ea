// The specification of kernels/elementwise.h: plain loops over the functions of functions.h. They compute in double whatever the operands
// are stored in, so no function is instantiated both here and, in float, in openmp/, where arithmetic is not strict.

#include "autograd/kernels/elementwise.h"

#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "autograd/core/tensor.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {
namespace {

template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T> || std::is_same_v<T, bfloat16>, double, T>;

// y[i] = f(x[i]...), y contiguous.
template <class F, class Out, class... In>
void map(const F& f, Out* y, const Strided<const In>&... x) {
  const Layout dense(std::get<0>(std::tie(x.layout...)).shape());
  const StridedLoop<1 + sizeof...(In)> loop({&dense, &x.layout...});
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    loop.run(0, loop.numel(), [&](std::int64_t n, const auto& at) {
      for (std::int64_t i = 0; i < n; ++i)
        y[at[0] + i] = convert<Out>(f(convert<Wide<In>>(x.data[at[K + 1] + i * loop.inner_stride(K + 1)])...));
    });
  }
  (std::index_sequence_for<In...>{});
}

}  // namespace

template <class T>
void Unary<T>::reference(const UnaryFunction& f, const Strided<const T>& x, T* y) {
  std::visit([&](const auto& g) { map([&](double v) { return g.value(v); }, y, x); }, f);
}

template <class T>
void UnaryGradient<T>::reference(const UnaryFunction& f, const Strided<const T>& dy, const Strided<const T>& kept, T* dx) {
  std::visit([&](const auto& g) { map([&](double d, double v) { return d * g.slope(v); }, dx, dy, kept); }, f);
}

template <class T>
void Binary<T>::reference(const BinaryFunction& f, const Strided<const T>& a, const Strided<const T>& b, T* y) {
  std::visit([&](const auto& g) { map([&](double u, double v) { return g.value(u, v); }, y, a, b); }, f);
}

template <class T>
void BinaryGradient<T>::reference(const BinaryFunction& f, Operand of, const Strided<const T>& dy, const Strided<const T>& a,
                                  const Strided<const T>& b, T* d) {
  const bool of_a = of == Operand::a;
  std::visit(
      [&](const auto& g) {
        map([&](double e, double u, double v) { return e * (of_a ? g.slope_a(u, v) : g.slope_b(u, v)); }, d, dy, a, b);
      },
      f);
}

template <class T>
void Select<T>::reference(const Strided<const std::uint8_t>& mask, const Strided<const T>& a, const Strided<const T>& b, T* y) {
  map([](std::uint8_t m, double u, double v) { return m != 0 ? u : v; }, y, mask, a, b);
}

template <class T>
void BiasActivation<T>::reference(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y) {
  const Shape shape{rows, columns};
  const Strided<const T> xs{x, Layout(shape)}, biases{bias, Layout(Shape{columns}).expand(shape)};
  std::visit([&](const auto& g) { map([&](double v, double b) { return g.value(v + b); }, y, xs, biases); }, f);
}

template <class T>
void BiasActivationGradient<T>::reference(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept,
                                          const T* bias, T* dx, Compute<T>* dbias) {
  std::visit(
      [&](const auto& g) {
        constexpr bool keeps_input = std::remove_cvref_t<decltype(g)>::keeps == Keeps::input;
        for (std::int64_t c = 0; c < columns; ++c) {
          double total = 0;
          for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t i = r * columns + c;
            const double seen = convert<double>(kept[i]) + (keeps_input ? convert<double>(bias[c]) : 0.0);
            const double d = convert<double>(dy[i]) * g.slope(seen);
            dx[i] = convert<T>(d);
            total += d;
          }
          dbias[c] = convert<Compute<T>>(total);
        }
      },
      f);
}

template <class From, class To>
void Conversion<From, To>::reference(const Strided<const From>& x, To* y) {
  map([](auto v) { return v; }, y, x);
}

void convert_type(DType from, const void* x, const Layout& layout, DType to, void* y) {
  dispatch(from, [&](auto from_zero) {
    dispatch(to, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      const Strided<const From> operand{static_cast<const From*>(x), layout};
      if constexpr (has_fast_kernels<From> && has_fast_kernels<To> && !std::is_same_v<From, To>) {
        KernelFor<From, Conversion<From, To>>{}(operand, static_cast<To*>(y));
      } else {
        Conversion<From, To>::reference(operand, static_cast<To*>(y));
      }
    });
  });
}

template Unary<float>::Signature Unary<float>::reference;
template Unary<bfloat16>::Signature Unary<bfloat16>::reference;
template Unary<double>::Signature Unary<double>::reference;
template UnaryGradient<float>::Signature UnaryGradient<float>::reference;
template UnaryGradient<bfloat16>::Signature UnaryGradient<bfloat16>::reference;
template UnaryGradient<double>::Signature UnaryGradient<double>::reference;
template Binary<float>::Signature Binary<float>::reference;
template Binary<bfloat16>::Signature Binary<bfloat16>::reference;
template Binary<double>::Signature Binary<double>::reference;
template BinaryGradient<float>::Signature BinaryGradient<float>::reference;
template BinaryGradient<bfloat16>::Signature BinaryGradient<bfloat16>::reference;
template BinaryGradient<double>::Signature BinaryGradient<double>::reference;
template Select<float>::Signature Select<float>::reference;
template Select<bfloat16>::Signature Select<bfloat16>::reference;
template Select<double>::Signature Select<double>::reference;
template BiasActivation<float>::Signature BiasActivation<float>::reference;
template BiasActivation<bfloat16>::Signature BiasActivation<bfloat16>::reference;
template BiasActivation<double>::Signature BiasActivation<double>::reference;
template BiasActivationGradient<float>::Signature BiasActivationGradient<float>::reference;
template BiasActivationGradient<bfloat16>::Signature BiasActivationGradient<bfloat16>::reference;
template BiasActivationGradient<double>::Signature BiasActivationGradient<double>::reference;

}  // namespace capstan::kernels
