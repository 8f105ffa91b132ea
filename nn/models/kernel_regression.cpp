#include "nn/models/kernel_regression.h"

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "nn/init.h"

namespace capstan::nn {

KernelRegression::KernelRegression(const Scope& scope)
    : inverse_width_(scope.parameter("inverse_width", {1}, uniform(0, 1), {.decay = false})) {}

KernelRegression::Result KernelRegression::operator()(const Tensor& queries, const Tensor& keys, const Tensor& values, Form form) const {
  require(queries.rank() == 1 && keys.shape() == values.shape() && (keys.rank() == 1 || keys.rank() == 2),
          "kernel_regression: queries are [Q], keys and values [N] or [Q, N]: queries ", queries, ", keys ", keys, ", values ", values);
  Tensor distances = sub(unsqueeze(queries, -1), keys);  // [Q, N]
  if (form == Form::parametric) distances = mul(distances, inverse_width_.value());
  const Tensor weights = softmax(affine(square(distances), -.5), -1);
  return {sum(mul(weights, values), {-1}), weights};
}

}  // namespace capstan::nn
