#include "recipes/tasks/next_item/losses.h"

#include "autograd/core/error.h"
#include "autograd/ops/candidate_loss.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"

namespace capstan::next_item {
namespace {

RankingLossKind form_of(LossKind kind) {
  switch (kind) {
    case LossKind::bce: return RankingLossKind::bce_sum;
    case LossKind::gbce: return RankingLossKind::gbce;
    case LossKind::sampled_softmax: return RankingLossKind::sampled_softmax;
    case LossKind::ce: break;  // not over candidates
  }
  throw InternalError("next_item: this loss takes no candidates");
}

}  // namespace

Tensor loss_sum(const Network& network, const Batch& batch, const LossOptions& options, const nn::Run& run) {
  Tensor h = network.hidden(batch.items, batch.layout, run);            // [tokens, d]
  if (!batch.layout.packed) h = index_select(h, 0, batch.layout.real);  // [real tokens, d]
  const Tensor table = nn::weight_for(network.item_table, h);
  Tensor total;
  if (options.kind == LossKind::ce) {
    total = linear_cross_entropy(h, table, {}, batch.targets, {.first_class = 1, .reduction = Reduction::sum()}).value;
  } else {
    const CandidateLossOptions form{
        .kind = form_of(options.kind), .calibration = options.calibration, .items = table.size(0) - 1, .reduction = Reduction::sum()};
    total = candidate_loss(h, table, batch.candidates, {}, form).value;
  }
  if (options.l2_embedding > 0) {
    Tensor squares = sum(square(network.item_table.value()));
    if (network.position_table.defined()) squares = add(squares, sum(square(network.position_table.value())));
    total = add(total, affine(squares, 0.5 * options.l2_embedding * static_cast<double>(batch.layout.real_tokens())));
  }
  return total;
}

Tensor last_hidden(const Network& network, const Batch& batch, const nn::Run& run) {
  return cast(index_select(network.hidden(batch.items, batch.layout, run), 0, batch.layout.last), network.item_table.dtype());
}

Tensor scores(const Network& network, const Tensor& hidden) {
  return matmul(hidden, transpose(network.item_table.value(), 0, 1)).contiguous();
}

}  // namespace capstan::next_item
