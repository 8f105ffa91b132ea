#include "autograd/ops/elementwise.h"

#include "autograd/ops/elementwise_op.h"

namespace capstan {
namespace ops {
namespace {

// mask ? a : b, all broadcast to `shape`.
Tensor select(const Tensor& mask, const Tensor& a, const Tensor& b, const Shape& shape) {
  Tensor y(shape, a.dtype());
  dispatch_floating("where", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::Elementwise<T>::select(strided<std::uint8_t>(mask, shape), strided<T>(a, shape), strided<T>(b, shape), y.data<T>());
  });
  return y;
}

}  // namespace

Spec Where::spec(const Args&, const Spec& mask, const Spec& a, const Spec& b) {
  require<DTypeError>(mask.dtype == DType::u8, name, ": the mask must be u8: mask ", mask);
  const Spec both = broadcast_spec(name, a, b);
  return {broadcast(name, mask.shape, both.shape), both.dtype};
}

Tensor Where::forward(const Args&, const Tensor& mask, const Tensor& a, const Tensor& b, const Call<3>& call, Saved& saved) {
  saved.mask = mask;
  return select(mask, a, b, call.out.shape);
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
  check_floating(name, "x", x);
  require<DTypeError>(mask.dtype == DType::u8, name, ": the mask must be u8: mask ", mask);
  require(broadcasts_to(mask.shape, x.shape), name, ": the mask must broadcast to x: x ", x, ", mask ", mask);
  return x;
}

Tensor MaskedFill::forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>&, Saved& saved) {
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

Tensor Cast::forward(const Args& args, const Tensor& x, const Call<1>&, Saved& saved) {
  saved.dtype = x.dtype();
  return converted(x, args.dtype);
}

// Rounding counts as the identity: dx = dy in x's type, or wider.
Grads<1> Cast::backward(const Args&, const Saved& saved, const Gradient& dy, Needs<1>) {
  const bool stays_wide = saved.dtype == DType::bf16 && dy.dtype() == DType::f32;
  return {stays_wide ? dy : dy.to(saved.dtype)};
}

Spec Convert::spec(const Args& args, const Spec& x) {
  require<DTypeError>(!is_floating(x.dtype) || !is_floating(args.dtype), name, ": between floating types it is cast: x ", x, ", to ",
                      args.dtype);
  return {x.shape, args.dtype};
}

Tensor Convert::forward(const Args& args, const Tensor& x, const Spec&) { return converted(x, args.dtype); }

}  // namespace ops

Tensor add(const Tensor& a, const Tensor& b) { return apply<ops::Add>({}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply<ops::Sub>({}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply<ops::Mul>({}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return apply<ops::Div>({}, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return apply<ops::Maximum>({}, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return apply<ops::Minimum>({}, a, b); }
Tensor affine(const Tensor& x, double scale, double shift) { return apply<ops::Affine>({.scale = scale, .shift = shift}, x); }
Tensor neg(const Tensor& x) { return apply<ops::Neg>({}, x); }
Tensor abs(const Tensor& x) { return apply<ops::Abs>({}, x); }
Tensor square(const Tensor& x) { return apply<ops::Square>({}, x); }
Tensor sqrt(const Tensor& x) { return apply<ops::Sqrt>({}, x); }
Tensor rsqrt(const Tensor& x) { return apply<ops::Rsqrt>({}, x); }
Tensor pow(const Tensor& x, double exponent) { return apply<ops::Pow>({.exponent = exponent}, x); }
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) { return apply<ops::Where>({}, mask, a, b); }
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) { return apply<ops::MaskedFill>({.value = value}, x, mask); }

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return is_floating(x.dtype()) && is_floating(dtype) ? apply<ops::Cast>({.dtype = dtype}, x) : apply<ops::Convert>({.dtype = dtype}, x);
}

}  // namespace capstan
