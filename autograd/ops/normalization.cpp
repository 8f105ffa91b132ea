#include "autograd/ops/normalization.h"

#include "autograd/kernels/normalization.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

void check_rows(std::string_view op, double eps, const Spec& x) {
  check_floating(op, "x", x);
  require(x.shape.rank() >= 1, op, ": x must have an axis to normalise over: x ", x);
  require<ArgumentError>(eps >= 0, op, ": eps must not be negative: eps ", eps);
}

Spec check_norm(std::string_view op, double eps, const Spec& x, const Spec& gamma, const Spec& beta) {
  check_rows(op, eps, x);
  require(gamma.present, op, ": gamma must not be absent: x ", x);
  check_vector(op, {"gamma", gamma}, x.shape[-1], {"x", x});
  check_vector(op, {"beta", beta}, x.shape[-1], {"x", x});
  return x;
}

Spec check_fused(std::string_view op, const DropoutNormOptions& args, const Spec& x, const Spec& bias, const Spec& residual,
                 const Spec& gamma, const Spec& beta, const Spec& row_ids) {
  check_norm(op, args.eps, x, gamma, beta);
  check_dropout(op, args.p, x, row_ids);
  require(residual == x, op, ": x and residual must have one shape and type: x ", x, ", residual ", residual);
  check_vector(op, {"bias", bias}, x.shape[-1], {"x", x});
  return x;
}

// Statistics of every row of x, not yet written; undefined if nobody will read them.
Tensor new_statistics(bool wanted, const Tensor& x) { return new_if(wanted, {Shape{rows_of(x)}, compute_type(x.dtype())}); }

template <class T>
kernels::RowStatistics<T> statistics(const Tensor& mean, const Tensor& inverse_deviation, NormKind kind) {
  using C = kernels::Compute<T>;
  return {.mean = pointer<C>(mean), .inverse_deviation = pointer<C>(inverse_deviation), .centered = kind == NormKind::layer};
}

struct FusedResult {
  Tensor y;
  DropoutResidualLayerNorm::Saved saved;  // of which statistics only if they are wanted
};

FusedResult forward_fused(const DropoutNormOptions& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                          const Tensor& beta, const Tensor& row_ids, bool records) {
  const Tensor from = dense(x), b = dense(bias), r = dense(residual), shift = dense(beta);
  FusedResult result{.y = Tensor(x.spec()),
                     .saved = {.sum = Tensor(x.spec()),
                               .gamma = dense(gamma),
                               .mean = new_statistics(records, x),
                               .inverse_deviation = new_statistics(records, x),
                               .row_ids = dense(row_ids)}};
  const DropoutResidualLayerNorm::Saved& saved = result.saved;
  dispatch_floating("layer_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const kernels::NormalizationInput<T> in{.x = pointer<const T>(from),
                                            .residual = pointer<const T>(r),
                                            .bias = pointer<const T>(b),
                                            .dropout = dropout_mask(args.p, args.key, saved.row_ids, x.numel())};
    kernels::layer_norm(in,
                        {.gamma = pointer<const T>(saved.gamma),
                         .beta = pointer<const T>(shift),
                         .eps = args.eps,
                         .centered = args.kind == NormKind::layer},
                        saved.sum.data<T>(), result.y.data<T>(), statistics<T>(saved.mean, saved.inverse_deviation, args.kind), rows_of(x),
                        x.size(-1));
  });
  return result;
}

// With z = (s - mean) / deviation: dgamma = sum_rows dy z, dbeta = sum_rows dy, and with g = dy gamma
// ds = (g - mean(g) - z mean(g z)) / deviation + dsum. RMS: z = s / deviation, and the deviation, the root of the mean square, has
// d deviation / ds_j = z_j / n, so ds is the same without mean(g). s = residual + m (x + bias), so dresidual = ds, dx = m ds, dbias =
// sum_rows dx.
Grads<6> backward_fused(const DropoutNormOptions& args, const DropoutResidualLayerNorm::Saved& saved, const Tensor& dy, const Tensor& dsum,
                        const Needs<6>& needs) {
  const Tensor g = dense(or_zeros(dy, saved.sum.spec())), more = dense(dsum);
  const Spec spec = saved.sum.spec(), row{saved.gamma.shape(), compute_type(spec.dtype)};
  const bool drops = args.p > 0;  // without it dx and dresidual are one tensor
  const Tensor dresidual = new_if(needs[2] || (needs[0] && !drops), spec), dx = new_if(needs[0] && drops, spec);
  const Tensor dbias = new_if(needs[1], row), dgamma = new_if(needs[3], row), dbeta = new_if(needs[4], row);
  dispatch_floating("layer_norm", spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    kernels::layer_norm_backward(pointer<const T>(saved.sum), pointer<const T>(saved.gamma),
                                 statistics<T>(saved.mean, saved.inverse_deviation, args.kind), pointer<const T>(g), pointer<const T>(more),
                                 dropout_mask(args.p, args.key, saved.row_ids, g.numel()),
                                 {.dx = pointer<T>(dx),
                                  .dresidual = pointer<T>(dresidual),
                                  .dgamma = pointer<kernels::Compute<T>>(dgamma),
                                  .dbeta = pointer<kernels::Compute<T>>(dbeta),
                                  .dbias = pointer<kernels::Compute<T>>(dbias)},
                                 rows_of(g), g.size(-1));
  });
  return {drops || !needs[0] ? dx : dresidual, dbias, needs[2] ? dresidual : Tensor{}, dgamma, dbeta, {}};
}

}  // namespace

Spec LayerNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  return check_norm(name, args.eps, x, gamma, beta);
}

Tensor LayerNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Call<3>& call, Saved& saved) {
  saved = {.x = dense(x),
           .gamma = dense(gamma),
           .mean = new_statistics(call.records(), x),
           .inverse_deviation = new_statistics(call.records(), x)};
  const Tensor shift = dense(beta), y(call.out);
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::layer_norm({.x = pointer<const T>(saved.x)},
                        {.gamma = pointer<const T>(saved.gamma),
                         .beta = pointer<const T>(shift),
                         .eps = args.eps,
                         .centered = args.kind == NormKind::layer},
                        nullptr, y.data<T>(), statistics<T>(saved.mean, saved.inverse_deviation, args.kind), rows_of(x), x.size(-1));
  });
  return y;
}

// The case m = 1 without bias of the fused op: dx is its dresidual.
Grads<3> LayerNorm::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  Grads<6> d = backward_fused({.eps = args.eps, .kind = args.kind}, {saved.x, saved.gamma, saved.mean, saved.inverse_deviation, {}}, dy, {},
                              {false, false, needs[0], needs[1], needs[2], false});
  return {std::move(d[2]), std::move(d[3]), std::move(d[4])};
}

Spec DropoutResidualLayerNorm::spec(const Args& args, const Spec& x, const Spec& bias, const Spec& residual, const Spec& gamma,
                                    const Spec& beta, const Spec& row_ids) {
  return check_fused(name, args, x, bias, residual, gamma, beta, row_ids);
}

Tensor DropoutResidualLayerNorm::forward(const Args& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                         const Tensor& beta, const Tensor& row_ids, const Call<6>& call, Saved& saved) {
  FusedResult result = forward_fused(args, x, bias, residual, gamma, beta, row_ids, call.records());
  saved = std::move(result.saved);
  return result.y;
}

Grads<6> DropoutResidualLayerNorm::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<6> needs) {
  return backward_fused(args, saved, dy, {}, needs);
}

std::array<Spec, 2> DropoutResidualLayerNormWithSum::spec(const Args& args, const Spec& x, const Spec& bias, const Spec& residual,
                                                          const Spec& gamma, const Spec& beta, const Spec& row_ids) {
  const Spec out = check_fused(name, args, x, bias, residual, gamma, beta, row_ids);
  return {out, out};
}

std::array<Tensor, 2> DropoutResidualLayerNormWithSum::forward(const Args& args, const Tensor& x, const Tensor& bias,
                                                               const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                                                               const Tensor& row_ids, const Call<6, std::array<Spec, 2>>& call,
                                                               Saved& saved) {
  FusedResult result = forward_fused(args, x, bias, residual, gamma, beta, row_ids, call.records());
  saved = std::move(result.saved);
  return {result.y, saved.sum};
}

Grads<6> DropoutResidualLayerNormWithSum::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<6> needs) {
  return backward_fused(args, saved, dy[0], dy[1], needs);
}

}  // namespace ops

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return apply<ops::LayerNorm>({.eps = eps}, x, gamma, beta);
}

Tensor rms_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return apply<ops::LayerNorm>({.eps = eps, .kind = NormKind::rms}, x, gamma, beta);
}

Tensor dropout_residual_layer_norm(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                                   const DropoutNormOptions& options, const Tensor& row_ids) {
  return apply<ops::DropoutResidualLayerNorm>(options, x, bias, residual, gamma, beta, row_ids);
}

NormalizedSum dropout_residual_layer_norm_with_sum(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                                   const Tensor& beta, const DropoutNormOptions& options, const Tensor& row_ids) {
  auto [y, sum] = apply<ops::DropoutResidualLayerNormWithSum>(options, x, bias, residual, gamma, beta, row_ids);
  return {y, sum};
}

}  // namespace capstan
