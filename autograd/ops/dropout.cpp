#include "autograd/ops/dropout.h"

#include <algorithm>

namespace capstan {

void detail::check_dropout(std::string_view op, double p, const Spec& x, const Spec& row_ids) {
  require<DTypeError>(is_floating(x.dtype), op, ": needs a floating type: x ", x);
  require(p >= 0 && p <= 1, op, ": the probability to drop must lie in [0, 1]: p ", p);
  if (row_ids.shape.rank() == 0 && row_ids.dtype != DType::i64) return;  // absent
  require<DTypeError>(row_ids.dtype == DType::i64, op, ": row ids must be i64: row_ids ", row_ids);
  const std::int64_t groups = row_ids.shape.numel();
  require(row_ids.shape.rank() == 1 && (groups > 0 ? x.shape.numel() % groups == 0 : x.shape.numel() == 0), op,
          ": the number of row ids must divide the number of elements: x ", x, " has ", x.shape.numel(), ", row_ids ", row_ids);
}

kernels::DropoutMask detail::dropout_mask(double p, std::uint64_t key, const Tensor& row_ids, std::int64_t numel) {
  const std::int64_t groups = row_ids.defined() ? std::max<std::int64_t>(row_ids.numel(), 1) : 1;
  return {.key = key,
          .rate = kernels::DropoutRate(p),
          .ids = row_ids.defined() ? row_ids.data<const std::int64_t>() : nullptr,
          .group_size = std::max<std::int64_t>(numel / groups, 1)};
}

namespace {

Tensor run(const Dropout::Args& args, const Tensor& x, const Tensor& row_ids) {
  const Tensor from = x.contiguous(), y(x.spec());
  const kernels::DropoutMask mask = detail::dropout_mask(args.p, args.key, row_ids, x.numel());
  dispatch_floating("dropout", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::dropout(from.data<const T>(), mask, y.data<T>(), x.numel());
  });
  return y;
}

}  // namespace

Spec Dropout::spec(const Args& args, const Spec& x, const Spec& row_ids) {
  detail::check_dropout(name, args.p, x, row_ids);
  return x;
}

Tensor Dropout::forward(const Args& args, const Tensor& x, const Tensor& row_ids, Saved& saved) {
  if (row_ids.defined()) saved.row_ids = row_ids.contiguous();
  return run(args, x, saved.row_ids);
}

// y = m x with the constant m = keep / P(keep), so dx = m dy: the same function of dy.
Grads<2> Dropout::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs) {
  return {needs[0] ? Gradient(run(args, dy, saved.row_ids)) : Gradient{}, {}};
}

Tensor dropout(const Tensor& x, double p, std::uint64_t key, const Tensor& row_ids) {
  if (p == 0) {
    Dropout::spec({.p = p, .key = key}, x.spec(), row_ids.spec());
    return x;
  }
  return apply<Dropout>({.p = p, .key = key}, x, row_ids);
}

}  // namespace capstan
