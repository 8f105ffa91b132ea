#include "nn/layer_norm.h"

#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {

LayerNorm::LayerNorm(const Scope& scope, const LayerNormOptions& options)
    : weight_(scope.parameter("weight", {options.width}, ones(), {.decay = false})),
      bias_(options.bias ? scope.parameter("bias", {options.width}, zeros(), {.decay = false}) : Parameter()),
      epsilon_(options.epsilon),
      kind_(options.kind) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const Tensor gain = weight_for(weight_, x), offset = weight_for(bias_, x);
  return kind_ == NormKind::rms ? rms_norm(x, gain, offset, epsilon_) : layer_norm(x, gain, offset, epsilon_);
}

DropoutNormOptions LayerNorm::options(const Dropout& dropout, const Run& run) const {
  return {.p = dropout.rate_in(run), .key = dropout.key_in(run), .eps = epsilon_, .kind = kind_};
}

Tensor LayerNorm::after_residual(const Tensor& x, const Tensor& bias, const Tensor& residual, const Dropout& dropout,
                                 const Run& run) const {
  return dropout_residual_layer_norm(x, bias, residual, weight_for(weight_, x), weight_for(bias_, x), options(dropout, run), run.token_ids);
}

LayerNorm::Sum LayerNorm::after_residual_with_sum(const Tensor& x, const Tensor& bias, const Tensor& residual, const Dropout& dropout,
                                                  const Run& run) const {
  const NormalizedSum both = dropout_residual_layer_norm_with_sum(x, bias, residual, weight_for(weight_, x), weight_for(bias_, x),
                                                                  options(dropout, run), run.token_ids);
  return {both.y, both.sum};
}

}  // namespace capstan::nn
