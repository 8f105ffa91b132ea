// The unary functions of kernels/elementwise.h.

#include "autograd/kernels/openmp/vector_math.h"

#include <variant>

#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/openmp/inline_functions.h"
#include "autograd/kernels/openmp/map.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kFunctionGrain = kGrain / 4;  // most are dearer than an addition

}  // namespace

template <class T>
void Unary<T>::fast(const UnaryFunction& f, const Strided<const T>& x, T* y) {
  std::visit([&](const auto& g) { map([h = written_out(g)](auto v) { return h.value(v); }, kFunctionGrain, y, x); }, f);
}

template <class T>
void UnaryGradient<T>::fast(const UnaryFunction& f, const Strided<const T>& dy, const Strided<const T>& kept, T* dx) {
  std::visit(
      [&](const auto& g) {
        if constexpr (std::remove_cvref_t<decltype(g)>::keeps == Keeps::nothing) {
          map([g](auto d) { return d * g.slope(d); }, kFunctionGrain, dx, dy);
        } else {
          map([h = written_out(g)](auto d, auto v) { return d * h.slope(v); }, kFunctionGrain, dx, dy, kept);
        }
      },
      f);
}

template Unary<float>::Signature Unary<float>::fast;
template Unary<bfloat16>::Signature Unary<bfloat16>::fast;
template UnaryGradient<float>::Signature UnaryGradient<float>::fast;
template UnaryGradient<bfloat16>::Signature UnaryGradient<bfloat16>::fast;

}  // namespace capstan::kernels
