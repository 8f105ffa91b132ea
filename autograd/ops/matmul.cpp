#include "autograd/ops/matmul.h"

#include <utility>

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/matmul.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

Tensor transposed(const Tensor& t) { return t.view(t.layout().transpose(-1, -2)); }

Tensor expanded(const Tensor& t, const Shape& shape) { return t.view(t.layout().expand(shape)); }

kernels::MatrixLayout matrix_layout(const Tensor& t) {
  kernels::MatrixLayout m{.row = t.layout().stride(-2), .column = t.layout().stride(-1)};
  for (int axis = 0; axis + 2 < t.rank(); ++axis)
    m.batch[static_cast<std::size_t>(axis)] = t.shape()[axis] == 1 ? 0 : t.layout().stride(axis);
  return m;
}

// out = alpha * a * b + bias; a and b have out's leading axes; out is new memory.
void product(const Tensor& a, const Tensor& b, const Tensor& out, double alpha = 1.0, const Tensor& bias = {}) {
  const kernels::MatmulProblem problem{.in = a.dtype(),
                                       .out = out.dtype(),
                                       .rows = a.size(-2),
                                       .columns = b.size(-1),
                                       .depth = a.size(-1),
                                       .batch = out.shape().sub(0, out.rank() - 2),
                                       .a = matrix_layout(a),
                                       .b = matrix_layout(b),
                                       .c = matrix_layout(out),
                                       .alpha = alpha};
  kernels::matmul(problem, raw_pointer(a), raw_pointer(b), raw_pointer(out), raw_pointer(bias));
}

// The leading axes of t [..., n] as rows: [rows, n]; a view where strides allow it.
Tensor as_rows(const Tensor& t) { return reshaped(t, Shape{t.shape().sub(0, t.rank() - 1).numel(), t.size(-1)}); }

// A batch of matrices times one matrix is a product of all rows: [..., M, K] * [K, N].
bool is_product_of_rows(const Tensor& a, const Tensor& b) { return a.rank() > 2 && b.rank() == 2 && a.numel() != 0; }

// The sum of the rows of t [rows, n]; f32 for bf16.
Tensor sum_of_rows(const Tensor& t) {
  const Tensor sum(Shape{t.size(1)}, compute_type(t.dtype()));
  kernels::sum_to_shape(t, sum);
  return sum;
}

}  // namespace

Spec Matmul::spec(const Args&, const Spec& a, const Spec& b) {
  require<DTypeError>(is_floating(a.dtype) && a.dtype == b.dtype, name, ": needs two operands of one floating type: a ", a, ", b ", b);
  require(a.shape.rank() >= 2 && b.shape.rank() >= 2, name, ": needs operands of rank >= 2: a ", a, ", b ", b);
  require(a.shape[-1] == b.shape[-2], name, ": last axis of a must equal last axis but one of b: a ", a, ", b ", b, ", ", a.shape[-1],
          " and ", b.shape[-2]);
  const Shape leading_a = a.shape.sub(0, a.shape.rank() - 2), leading_b = b.shape.sub(0, b.shape.rank() - 2);
  const Shape leading = broadcast(name, leading_a, leading_b);
  return {leading.inserted(leading.rank(), a.shape[-2]).inserted(leading.rank() + 1, b.shape[-1]), a.dtype};
}

Tensor Matmul::forward(const Args& args, const Tensor& a, const Tensor& b, const Call<2>& call, Saved& saved) {
  if (call.records()) saved = {a, b};
  const Tensor out(call.out);
  const Shape leading = out.shape().sub(0, out.rank() - 2);
  const auto with_leading = [&](const Tensor& t) {
    return expanded(t, leading.inserted(leading.rank(), t.size(-2)).inserted(leading.rank() + 1, t.size(-1)));
  };
  product(with_leading(a), with_leading(b), out, args.alpha);
  return out;
}

// y = alpha a b, so da = alpha dy b^T and db = alpha a^T dy. Where b is one matrix for many of a, db sums over all rows in one product;
// other broadcast axes are summed by the tape.
Grads<2> Matmul::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs) {
  const Shape leading = dy.shape().sub(0, dy.rank() - 2);
  const auto with_leading = [&](const Tensor& t) {
    return expanded(t, leading.inserted(leading.rank(), t.size(-2)).inserted(leading.rank() + 1, t.size(-1)));
  };
  Grads<2> grads;
  if (needs[0]) {
    const Tensor b = with_leading(saved.b);
    const Tensor da(dy.shape().with(-1, b.size(-2)), dy.dtype());
    product(dy, transposed(b), da, args.alpha);
    grads[0] = da;
  }
  if (needs[1]) {
    if (is_product_of_rows(saved.a, saved.b)) {
      const Tensor db(saved.b.spec());
      product(transposed(as_rows(saved.a)), as_rows(dy), db, args.alpha);
      grads[1] = db;
    } else {
      const Tensor a = with_leading(saved.a);
      const Tensor db(dy.shape().with(-2, a.size(-1)), dy.dtype());
      product(transposed(a), dy, db, args.alpha);
      grads[1] = db;
    }
  }
  return grads;
}

Spec Linear::spec(const Args&, const Spec& x, const Spec& weight, const Spec& bias) {
  require<DTypeError>(is_floating(x.dtype) && x.dtype == weight.dtype, name, ": needs operands of one floating type: x ", x, ", weight ",
                      weight, ", bias ", bias);
  require(x.shape.rank() >= 1 && weight.shape.rank() == 2, name, ": needs x [..., in] and weight [out, in]: x ", x, ", weight ", weight);
  require(x.shape[-1] == weight.shape[1], name, ": last axis of x must equal axis 1 of weight: x ", x, ", weight ", weight, ", ",
          x.shape[-1], " and ", weight.shape[1]);
  check_vector(name, {"bias", bias}, weight.shape[0], {"weight", weight});
  return {x.shape.with(-1, weight.shape[0]), x.dtype};
}

Tensor Linear::forward(const Args&, const Tensor& x, const Tensor& weight, const Tensor& bias, const Call<3>& call, Saved& saved) {
  if (call.needs[0]) saved.weight = weight;
  if (call.needs[1]) saved.x = x;
  saved.x_shape = x.shape();
  const Tensor out(call.out);
  product(as_rows(x), transposed(weight), as_rows(out), 1.0, dense(bias));
  return out;
}

// y = x W^T + b, so dx = dy W, dW = dy^T x and db = the sum of dy, over all rows.
Grads<3> Linear::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  const Tensor rows = as_rows(dy);
  Grads<3> grads;
  if (needs[0]) {
    const Tensor dx(saved.x_shape, dy.dtype());
    product(rows, saved.weight, as_rows(dx));
    grads[0] = dx;
  }
  if (needs[1]) {
    const Tensor dw(Shape{dy.size(-1), saved.x.size(-1)}, compute_type(dy.dtype()));  // f32 for bf16: the sum is not rounded
    product(transposed(rows), as_rows(saved.x), dw);
    grads[1] = dw;
  }
  if (needs[2]) grads[2] = sum_of_rows(rows);
  return grads;
}

}  // namespace ops

Tensor matmul(const Tensor& a, const Tensor& b, double alpha) { return apply<ops::Matmul>({.alpha = alpha}, a, b); }
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) { return apply<ops::Linear>({}, x, weight, bias); }

}  // namespace capstan
