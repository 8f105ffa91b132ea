#include "recipes/tasks/image_classification/rollout.h"

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::image_classification {
namespace {

Tensor identity(std::int64_t n, DType dtype) {
  const Tensor t = Tensor::zeros({n, n}, DType::f64);
  for (std::int64_t i = 0; i < n; ++i) t.data<double>()[i * n + i] = 1;
  return cast(t, dtype);
}

}  // namespace

Tensor attention_rollout(std::span<const Tensor> probabilities) {
  const NoGrad no_grad;
  require(!probabilities.empty(), "attention_rollout: needs a layer at least");
  Tensor product;
  for (const Tensor& layer : probabilities) {
    require(layer.rank() == 4 && layer.size(2) == layer.size(3) && layer.shape() == probabilities.front().shape(),
            "attention_rollout: every layer must be [B, H, T, T], all alike: layer ", layer, ", first ", probabilities.front());
    const Tensor exact = layer.dtype() == DType::bf16 ? cast(layer, DType::f32) : layer;
    const Tensor mixed = add(mean(exact, {1}), identity(layer.size(2), exact.dtype()));  // [B, T, T]
    const Tensor rows = div(mixed, sum(mixed, {-1}, true));
    product = product.defined() ? matmul(rows, product) : rows;
  }
  return product;
}

Tensor rollout_mask(const Tensor& rollout) {
  const NoGrad no_grad;
  require(rollout.rank() == 3 && rollout.size(1) == rollout.size(2) && rollout.size(1) > 1,
          "rollout_mask: the rollout must be [B, T, T] with patches beside the class token: rollout ", rollout);
  const Tensor drawn = slice(select(rollout, 1, 0), 1, 1, rollout.size(2) - 1);  // [B, T - 1]
  return div(drawn, max(drawn, {-1}, true));
}

}  // namespace capstan::image_classification
