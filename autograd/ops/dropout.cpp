#include "autograd/ops/dropout.h"

#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

Tensor run(const Dropout::Args& args, const Tensor& x, const Tensor& row_ids) {
  const Tensor from = dense(x), y(x.spec());
  const kernels::DropoutMask mask = dropout_mask(args.p, args.key, row_ids, x.numel());
  dispatch_floating("dropout", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::dropout(from.data<const T>(), mask, y.data<T>(), x.numel());
  });
  return y;
}

}  // namespace

Spec Dropout::spec(const Args& args, const Spec& x, const Spec& row_ids) {
  check_dropout(name, args.p, x, row_ids);
  return x;
}

Tensor Dropout::forward(const Args& args, const Tensor& x, const Tensor& row_ids, const Call<2>&, Saved& saved) {
  saved.row_ids = dense(row_ids);
  return run(args, x, saved.row_ids);
}

// y = m x with the constant m = keep / P(keep), so dx = m dy: the same function of dy.
Grads<2> Dropout::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2>) { return {run(args, dy, saved.row_ids), {}}; }

}  // namespace ops

Tensor dropout(const Tensor& x, double p, std::uint64_t key, const Tensor& row_ids) {
  if (p == 0) {
    ops::Dropout::spec({.p = p, .key = key}, x.spec(), row_ids.spec());
    return x;
  }
  return apply<ops::Dropout>({.p = p, .key = key}, x, row_ids);
}

}  // namespace capstan
