#include "recipes/sasrec/losses.h"

#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::sasrec {

Tensor loss_sum(const Model& model, const Batch& batch, const LossOptions& options, const nn::Run& run) {
  const Tensor h = model.real_hidden(batch, run);
  Tensor total;
  if (options.kind == LossKind::ce) {
    total = linear_cross_entropy(h, model.item_table(), {}, batch.targets, {.first_class = 1, .reduction = Reduction::sum()}).value;
  } else {
    const Tensor p = sum(mul(h, embedding(model.item_table(), batch.targets)), {-1});
    const Tensor n = sum(mul(unsqueeze(h, 1), embedding(model.item_table(), batch.negatives)), {-1});
    total = add(sum(softplus(neg(p))), sum(softplus(n)));
  }
  if (options.l2_embedding > 0) {
    const Tensor squares = add(sum(square(model.item_table())), sum(square(model.position_table())));
    total = add(total, affine(squares, 0.5 * options.l2_embedding * static_cast<double>(batch.real_tokens())));
  }
  return total;
}

double loss_multiply_adds(const LossOptions& loss, const ModelOptions& model, std::int64_t sequences, std::int64_t items) {
  const double candidates = static_cast<double>(loss.kind == LossKind::ce ? items : 1 + loss.negatives);
  return static_cast<double>(sequences * model.max_length * model.hidden_size) * candidates;
}

}  // namespace capstan::sasrec
