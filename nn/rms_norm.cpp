#include "nn/rms_norm.h"

#include "autograd/ops/normalization.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {

RmsNorm::RmsNorm(const Scope& scope, const RmsNormOptions& options)
    : weight_(scope.parameter("weight", {options.width}, ones(), {.decay = false})), epsilon_(options.epsilon) {}

Tensor RmsNorm::operator()(const Tensor& x) const { return rms_norm(x, weight_for(weight_, x), epsilon_); }

}  // namespace capstan::nn
