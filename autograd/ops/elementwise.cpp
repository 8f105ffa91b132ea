#include "autograd/ops/elementwise.h"

namespace capstan {
namespace {

template <class T>
kernels::Strided<const T> operand(const Tensor& t, const Shape& shape) {
  return {t.data<const T>(), t.layout().expand(shape)};
}

// mask ? a : b, all broadcast to `shape`.
Tensor select(const Tensor& mask, const Tensor& a, const Tensor& b, const Shape& shape) {
  Tensor y(shape, a.dtype());
  dispatch_floating("where", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::select(operand<std::uint8_t>(mask, shape), operand<T>(a, shape), operand<T>(b, shape), y.data<T>());
  });
  return y;
}

Tensor convert_type(const Tensor& x, DType dtype) {
  Tensor y(x.shape(), dtype);
  const std::byte* const first = x.storage().data() + static_cast<std::size_t>(x.layout().offset()) * size_of(x.dtype());
  kernels::convert_type(x.dtype(), first, x.layout(), dtype, y.storage().data());
  return y;
}

}  // namespace

Spec Where::spec(const Args&, const Spec& mask, const Spec& a, const Spec& b) {
  require<DTypeError>(mask.dtype == DType::u8, name, ": the mask must be u8: mask ", mask);
  const Spec both = detail::broadcast_spec(name, a, b);
  return {broadcast(name, mask.shape, both.shape), both.dtype};
}

Tensor Where::forward(const Args&, const Tensor& mask, const Tensor& a, const Tensor& b, Saved& saved) {
  saved.mask = mask;
  return select(mask, a, b, broadcast(name, mask.shape(), broadcast(name, a.shape(), b.shape())));
}

// y = mask ? a : b, so da = mask ? dy : 0 and db = mask ? 0 : dy.
Grads<3> Where::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  const Tensor zero = Tensor::scalar(0.0, dy.dtype());
  Grads<3> d;
  if (needs[1]) d[1] = select(saved.mask, dy, zero, dy.shape());
  if (needs[2]) d[2] = select(saved.mask, zero, dy, dy.shape());
  return d;
}

Spec MaskedFill::spec(const Args&, const Spec& x, const Spec& mask) {
  detail::check_floating(name, x);
  require<DTypeError>(mask.dtype == DType::u8, name, ": the mask must be u8: mask ", mask);
  require(broadcasts_to(mask.shape, x.shape), name, ": the mask must broadcast to x: x ", x, ", mask ", mask);
  return x;
}

Tensor MaskedFill::forward(const Args& args, const Tensor& x, const Tensor& mask, Saved& saved) {
  saved.mask = mask;
  return select(mask, Tensor::scalar(args.value, x.dtype()), x, x.shape());
}

// y = mask ? constant : x, so dx = mask ? 0 : dy.
Grads<2> MaskedFill::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<2>) {
  return {select(saved.mask, Tensor::scalar(0.0, dy.dtype()), dy, dy.shape()), Gradient{}};
}

Spec Cast::spec(const Args& args, const Spec& x) {
  require<DTypeError>(is_floating(x.dtype) && is_floating(args.dtype), name, ": only floating types have a derivative: x ", x, ", to ",
                      args.dtype);
  return {x.shape, args.dtype};
}

Tensor Cast::forward(const Args& args, const Tensor& x, Saved& saved) {
  saved.dtype = x.dtype();
  return convert_type(x, args.dtype);
}

// Rounding counts as the identity: dx = dy in x's type.
Grads<1> Cast::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<1>) { return {convert_type(dy, saved.dtype)}; }

Spec Convert::spec(const Args& args, const Spec& x) {
  require<DTypeError>(!is_floating(x.dtype) || !is_floating(args.dtype), name, ": between floating types it is cast: x ", x, ", to ",
                      args.dtype);
  return {x.shape, args.dtype};
}

Tensor Convert::forward(const Args& args, const Tensor& x) { return convert_type(x, args.dtype); }

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return is_floating(x.dtype()) && is_floating(dtype) ? apply<Cast>({.dtype = dtype}, x) : apply<Convert>({.dtype = dtype}, x);
}

}  // namespace capstan
