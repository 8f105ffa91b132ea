#include "autograd/ops/elementwise_op.h"

#include <variant>

namespace capstan::detail {
namespace {

template <class T>
kernels::Strided<const T> operand(const Tensor& t, const Shape& shape) {
  return {t.data<const T>(), t.shape() == shape ? t.layout() : t.layout().expand(shape)};
}

std::string_view name_of_function(const auto& f) {
  return std::visit([](const auto& g) { return g.name; }, f);
}

}  // namespace

void check_floating(std::string_view op, const Spec& x) {
  require<DTypeError>(is_floating(x.dtype), op, ": x must have a floating element type: x ", x);
}

Spec broadcast_spec(std::string_view op, const Spec& a, const Spec& b) {
  require<DTypeError>(is_floating(a.dtype) && a.dtype == b.dtype, op, ": a and b must have the same floating element type: a ", a, ", b ",
                      b);
  return {broadcast(op, a.shape, b.shape), a.dtype};
}

Tensor map_unary(const kernels::UnaryFunction& f, const Tensor& x) {
  Tensor y(x.spec());
  dispatch_floating(name_of_function(f), x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::unary(f, operand<T>(x, x.shape()), y.data<T>());
  });
  return y;
}

Tensor map_unary_gradient(const kernels::UnaryFunction& f, const Tensor& dy, const Tensor& kept) {
  Tensor dx(dy.spec());
  dispatch_floating(name_of_function(f), dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Tensor& read = kept.defined() ? kept : dy;
    kernels::Elementwise<T>::unary_gradient(f, operand<T>(dy, dy.shape()), operand<T>(read, dy.shape()), dx.data<T>());
  });
  return dx;
}

Tensor map_binary(const kernels::BinaryFunction& f, const Tensor& a, const Tensor& b) {
  const Shape shape = a.shape() == b.shape() ? a.shape() : broadcast(name_of_function(f), a.shape(), b.shape());
  Tensor y(shape, a.dtype());
  dispatch_floating(name_of_function(f), a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::binary(f, operand<T>(a, shape), operand<T>(b, shape), y.data<T>());
  });
  return y;
}

Tensor map_binary_gradient(const kernels::BinaryFunction& f, kernels::Operand of, const Tensor& dy, const Tensor& a, const Tensor& b) {
  Tensor d(dy.spec());
  dispatch_floating(name_of_function(f), dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::binary_gradient(f, of, operand<T>(dy, dy.shape()), operand<T>(a, dy.shape()), operand<T>(b, dy.shape()),
                                             d.data<T>());
  });
  return d;
}

}  // namespace capstan::detail
