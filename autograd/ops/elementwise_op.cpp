#include "autograd/ops/elementwise_op.h"

#include <variant>

namespace capstan::ops {
namespace {

std::string_view name_of_function(const auto& f) {
  return std::visit([](const auto& g) { return g.name; }, f);
}

}  // namespace

Tensor map_unary(const kernels::UnaryFunction& f, const Tensor& x) {
  Tensor y(x.spec());
  dispatch_floating(name_of_function(f), x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::unary(f, strided<T>(x, x.shape()), y.data<T>());
  });
  return y;
}

Tensor map_unary_gradient(const kernels::UnaryFunction& f, const Tensor& dy, const Tensor& kept) {
  Tensor dx(dy.spec());
  dispatch_floating(name_of_function(f), dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Tensor& read = kept.defined() ? kept : dy;
    kernels::Elementwise<T>::unary_gradient(f, strided<T>(dy, dy.shape()), strided<T>(read, dy.shape()), dx.data<T>());
  });
  return dx;
}

Tensor map_binary(const kernels::BinaryFunction& f, const Tensor& a, const Tensor& b) {
  const Shape shape = a.shape() == b.shape() ? a.shape() : broadcast(name_of_function(f), a.shape(), b.shape());
  Tensor y(shape, a.dtype());
  dispatch_floating(name_of_function(f), a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::binary(f, strided<T>(a, shape), strided<T>(b, shape), y.data<T>());
  });
  return y;
}

Tensor map_binary_gradient(const kernels::BinaryFunction& f, kernels::Operand of, const Tensor& dy, const Tensor& a, const Tensor& b) {
  Tensor d(dy.spec());
  dispatch_floating(name_of_function(f), dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::binary_gradient(f, of, strided<T>(dy, dy.shape()), strided<T>(a, dy.shape()), strided<T>(b, dy.shape()),
                                             d.data<T>());
  });
  return d;
}

}  // namespace capstan::ops
