#include "recipes/sasrec/losses.h"

#include "autograd/core/error.h"
#include "autograd/ops/candidate_loss.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/reduce.h"

namespace capstan::sasrec {
namespace {

RankingLossKind form_of(LossKind kind) {
  switch (kind) {
    case LossKind::bce: return RankingLossKind::bce_sum;
    case LossKind::gbce: return RankingLossKind::gbce;
    case LossKind::sampled_softmax: return RankingLossKind::sampled_softmax;
    case LossKind::ce: break;  // not over candidates
  }
  throw InternalError("sasrec: this loss takes no candidates");
}

}  // namespace

Tensor loss_sum(const Model& model, const Batch& batch, const LossOptions& options, const nn::Run& run) {
  const Tensor h = model.real_hidden(batch, run);
  Tensor total;
  if (options.kind == LossKind::ce) {
    total = linear_cross_entropy(h, model.item_table().value(), {}, batch.targets, {.first_class = 1, .reduction = Reduction::sum()}).value;
  } else {
    const CandidateLossOptions form{
        .kind = form_of(options.kind), .calibration = options.calibration, .items = model.item_count(), .reduction = Reduction::sum()};
    total = candidate_loss(h, model.item_table().value(), batch.candidates, {}, form).value;
  }
  if (options.l2_embedding > 0) {
    const Tensor squares = add(sum(square(model.item_table().value())), sum(square(model.position_table().value())));
    total = add(total, affine(squares, 0.5 * options.l2_embedding * static_cast<double>(batch.real_tokens())));
  }
  return total;
}

double loss_multiply_adds(const LossOptions& loss, const ModelOptions& model, std::int64_t sequences, std::int64_t items) {
  const double candidates = static_cast<double>(loss.kind == LossKind::ce ? items : 1 + loss.negatives);
  return static_cast<double>(sequences * model.max_length * model.hidden_size) * candidates;
}

}  // namespace capstan::sasrec
