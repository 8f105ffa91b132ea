#include "autograd/ops/normalization.h"

#include "autograd/kernels/normalization.h"
#include "autograd/kernels/scratch.h"
#include "autograd/ops/dropout.h"

namespace capstan {
namespace {

void check_vector(std::string_view op, std::string_view what, const Spec& x, const Spec& v) {
  require<DTypeError>(v.dtype == x.dtype, op, ": element types must agree: x ", x, ", ", what, " ", v);
  require(v.shape == Shape{x.shape[-1]}, op, ": ", what, " must be as long as the last axis of x: x ", x, ", ", what, " ", v);
}

Spec check_norm(std::string_view op, double eps, const Spec& x, const Spec& gamma, const Spec& beta) {
  require<DTypeError>(is_floating(x.dtype), op, ": needs a floating type: x ", x);
  require(x.shape.rank() >= 1, op, ": x must have an axis to normalise over: x ", x);
  require(eps >= 0, op, ": eps must not be negative: eps ", eps);
  check_vector(op, "gamma", x, gamma);
  if (beta.shape.rank() != 0) check_vector(op, "beta", x, beta);
  return x;
}

Spec check_fused(std::string_view op, const DropoutNormOptions& args, const Spec& x, const Spec& bias, const Spec& residual,
                 const Spec& gamma, const Spec& beta, const Spec& row_ids) {
  check_norm(op, args.eps, x, gamma, beta);
  detail::check_dropout(op, args.p, x, row_ids);
  require(residual == x, op, ": x and residual must have one shape and type: x ", x, ", residual ", residual);
  if (bias.shape.rank() != 0) check_vector(op, "bias", x, bias);
  return x;
}

std::int64_t rows_of(const Tensor& t) { return t.numel() == 0 ? 0 : t.numel() / t.size(-1); }

Tensor contiguous_or_absent(const Tensor& t) { return t.defined() ? t.contiguous() : Tensor{}; }

template <class T>
const T* pointer(const Tensor& t) {
  return t.defined() ? t.data<const T>() : nullptr;
}
template <class T>
T* writable(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

// Statistics of every row of x, not yet written.
Tensor statistics_like(const Tensor& x) { return Tensor(Shape{rows_of(x)}, kernels::compute_dtype(x.dtype())); }

template <class T>
kernels::RowStatistics<T> statistics(const Tensor& mean, const Tensor& inverse_deviation) {
  using C = kernels::Compute<T>;
  return {.mean = mean.data<C>(), .inverse_deviation = inverse_deviation.data<C>()};
}

// Fills everything that `saved` holds and returns y.
Tensor forward_fused(const DropoutNormOptions& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                     const Tensor& beta, const Tensor& row_ids, DropoutResidualLayerNorm::Saved& saved) {
  const Tensor from = x.contiguous(), b = contiguous_or_absent(bias), r = residual.contiguous(), shift = contiguous_or_absent(beta),
               y(x.spec());
  saved = {.sum = Tensor(x.spec()),
           .gamma = gamma.contiguous(),
           .mean = statistics_like(x),
           .inverse_deviation = statistics_like(x),
           .row_ids = contiguous_or_absent(row_ids)};
  dispatch_floating("layer_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const kernels::NormalizationInput<T> in{.x = pointer<T>(from),
                                            .residual = pointer<T>(r),
                                            .bias = pointer<T>(b),
                                            .dropout = detail::dropout_mask(args.p, args.key, saved.row_ids, x.numel())};
    kernels::layer_norm(in, {.gamma = pointer<T>(saved.gamma), .beta = pointer<T>(shift), .eps = args.eps}, saved.sum.data<T>(),
                           y.data<T>(), statistics<T>(saved.mean, saved.inverse_deviation), rows_of(x), x.size(-1));
  });
  return y;
}

// With z = (s - mean) / deviation: dgamma = sum_rows dy z, dbeta = sum_rows dy, and with g = dy gamma
// ds = (g - mean(g) - z mean(g z)) / deviation + dsum. s = residual + m (x + bias), so dresidual = ds, dx = m ds, dbias = sum_rows dx.
Grads<6> backward_fused(const DropoutNormOptions& args, const DropoutResidualLayerNorm::Saved& saved, const Tensor& dy, const Tensor& dsum,
                        const Needs<6>& needs) {
  const Tensor g = dy.contiguous(), more = contiguous_or_absent(dsum);
  const Spec spec = saved.sum.spec(), row = saved.gamma.spec();
  const auto when = [](bool wanted, const Spec& s) { return wanted ? Tensor(s) : Tensor{}; };
  const bool drops = args.p > 0;  // without it dx and dresidual are one tensor
  const Tensor dresidual = when(needs[2] || (needs[0] && !drops), spec), dx = when(needs[0] && drops, spec);
  const Tensor dbias = when(needs[1], row), dgamma = when(needs[3], row), dbeta = when(needs[4], row);
  dispatch_floating("layer_norm", spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    kernels::layer_norm_backward(pointer<T>(saved.sum), pointer<T>(saved.gamma), statistics<T>(saved.mean, saved.inverse_deviation),
                                    pointer<T>(g), pointer<T>(more), detail::dropout_mask(args.p, args.key, saved.row_ids, g.numel()),
                                    {.dx = writable<T>(dx),
                                     .dresidual = writable<T>(dresidual),
                                     .dgamma = writable<T>(dgamma),
                                     .dbeta = writable<T>(dbeta),
                                     .dbias = writable<T>(dbias)},
                                    rows_of(g), g.size(-1));
  });
  const auto give = [](bool wanted, const Tensor& t) { return wanted ? Gradient(t) : Gradient{}; };
  return {give(needs[0], drops ? dx : dresidual),
          give(needs[1], dbias),
          give(needs[2], dresidual),
          give(needs[3], dgamma),
          give(needs[4], dbeta),
          {}};
}

}  // namespace

Spec LayerNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  return check_norm(name, args.eps, x, gamma, beta);
}

Tensor LayerNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, Saved& saved) {
  saved = {.x = x.contiguous(), .gamma = gamma.contiguous(), .mean = statistics_like(x), .inverse_deviation = statistics_like(x)};
  const Tensor shift = contiguous_or_absent(beta), y(x.spec());
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::layer_norm({.x = pointer<T>(saved.x)}, {.gamma = pointer<T>(saved.gamma), .beta = pointer<T>(shift), .eps = args.eps},
                           nullptr, y.data<T>(), statistics<T>(saved.mean, saved.inverse_deviation), rows_of(x), x.size(-1));
  });
  return y;
}

// The case m = 1 without bias of the fused op: dx is its dresidual.
Grads<3> LayerNorm::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  Grads<6> d = backward_fused({.eps = args.eps}, {saved.x, saved.gamma, saved.mean, saved.inverse_deviation, {}}, dy, {},
                              {false, false, needs[0], needs[1], needs[2], false});
  return {std::move(d[2]), std::move(d[3]), std::move(d[4])};
}

Spec DropoutResidualLayerNorm::spec(const Args& args, const Spec& x, const Spec& bias, const Spec& residual, const Spec& gamma,
                                    const Spec& beta, const Spec& row_ids) {
  return check_fused(name, args, x, bias, residual, gamma, beta, row_ids);
}

Tensor DropoutResidualLayerNorm::forward(const Args& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                         const Tensor& beta, const Tensor& row_ids, Saved& saved) {
  return forward_fused(args, x, bias, residual, gamma, beta, row_ids, saved);
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
                                                               const Tensor& row_ids, Saved& saved) {
  const Tensor y = forward_fused(args, x, bias, residual, gamma, beta, row_ids, saved);
  return {y, saved.sum};
}

Grads<6> DropoutResidualLayerNormWithSum::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<6> needs) {
  return backward_fused(args, saved, dy[0], dy[1], needs);
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return apply<LayerNorm>({.eps = eps}, x, gamma, beta);
}

Tensor dropout_residual_layer_norm(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                                   const DropoutNormOptions& options, const Tensor& row_ids) {
  return apply<DropoutResidualLayerNorm>(options, x, bias, residual, gamma, beta, row_ids);
}

NormalizedSum dropout_residual_layer_norm_with_sum(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                                   const Tensor& beta, const DropoutNormOptions& options, const Tensor& row_ids) {
  auto [y, sum] = apply<DropoutResidualLayerNormWithSum>(options, x, bias, residual, gamma, beta, row_ids);
  return {y, sum};
}

}  // namespace capstan
