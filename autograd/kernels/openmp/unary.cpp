// The unary functions of openmp/elementwise.h.

#include "autograd/kernels/openmp/vector_math.h"

#include <variant>

#include "autograd/kernels/openmp/elementwise.h"
#include "autograd/kernels/openmp/map.h"

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kFunctionGrain = kGrain / 4;  // most are dearer than an addition

}  // namespace

template <class T>
void Unary<T>::value(const UnaryFunction& f, const Input& x, T* y) {
  std::visit([&](const auto& g) { map([g](auto v) { return g.value(v); }, kFunctionGrain, y, x); }, f);
}

template <class T>
void Unary<T>::gradient(const UnaryFunction& f, const Input& dy, const Input& kept, T* dx) {
  std::visit(
      [&](const auto& g) {
        if constexpr (std::remove_cvref_t<decltype(g)>::keeps == Keeps::nothing) {
          map([g](auto d) { return d * g.slope(d); }, kFunctionGrain, dx, dy);
        } else {
          map([g](auto d, auto v) { return d * g.slope(v); }, kFunctionGrain, dx, dy, kept);
        }
      },
      f);
}

template struct Unary<float>;
template struct Unary<bfloat16>;

}  // namespace capstan::kernels::openmp
