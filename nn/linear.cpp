#include "nn/linear.h"

#include "autograd/ops/matmul.h"
#include "nn/weight.h"

namespace capstan::nn {

Linear::Linear(const Scope& scope, const LinearOptions& options)
    : weight_(scope.parameter("weight", {options.out, options.in}, options.init)),
      bias_(options.bias ? scope.parameter("bias", {options.out}, options.bias_init, {.decay = false}) : Parameter()) {}

Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight_for(weight_, x), weight_for(bias_, x)); }

Tensor Linear::without_bias(const Tensor& x) const { return linear(x, weight_for(weight_, x), {}); }

}  // namespace capstan::nn
