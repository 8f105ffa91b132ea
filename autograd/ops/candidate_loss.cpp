#include "autograd/ops/candidate_loss.h"

#include <algorithm>
#include <vector>

#include "autograd/kernels/candidate_loss.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

void check_valid(std::string_view op, std::string_view what, const Spec& operand, const Spec& valid) {
  require(!valid.present || valid == Spec{Shape{operand.shape[0]}, DType::u8}, op, ": valid must be u8 [N]: ", what, " ", operand,
          ", valid ", valid);
}

kernels::Candidates as_candidates(const Tensor& candidates, const Tensor& valid, std::int64_t width) {
  return {.item = candidates.data<const std::int64_t>(),
          .valid = pointer<const std::uint8_t>(valid),
          .rows = candidates.size(0),
          .columns = candidates.size(1),
          .width = width};
}

// Table rows named by valid positions; -1 elsewhere.
std::vector<std::int64_t> named_rows(const kernels::Candidates& c) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(c.rows * c.columns), -1);
  for (std::int64_t n = 0; n < c.rows; ++n)
    if (c.takes_part(n)) std::copy_n(c.item + n * c.columns, c.columns, out.data() + n * c.columns);
  return out;
}

kernels::RankingTerms ranking_terms(const RankingLoss::Args& args, const Tensor& valid, const Tensor& log_q, std::int64_t columns) {
  const auto all = static_cast<double>(columns), negatives = all - 1;
  kernels::RankingTerms terms{.log_q = pointer<const float>(log_q), .valid = pointer<const std::uint8_t>(valid)};
  switch (args.kind) {
    case RankingLossKind::bce_sum: break;
    case RankingLossKind::bce: terms.positive = terms.negative = 1 / all; break;
    case RankingLossKind::gbce:
      terms.positive = (1 - args.calibration * (1 - negatives / static_cast<double>(args.items - 1))) / all;
      terms.negative = 1 / all;
      break;
    case RankingLossKind::sampled_softmax: terms.softmax = true; break;
  }
  return terms;
}

}  // namespace

Spec CandidateScores::spec(const Args&, const Spec& h, const Spec& table, const Spec& candidates, const Spec& valid) {
  require<DTypeError>(is_floating(h.dtype) && table.dtype == h.dtype, name, ": h and table must be of one floating type: h ", h, ", table ",
                      table);
  require(h.shape.rank() == 2 && table.shape.rank() == 2 && h.shape[1] == table.shape[1], name, ": h must be [N, D] and table [V, D]: h ",
          h, ", table ", table);
  require<DTypeError>(candidates.dtype == DType::i64, name, ": candidates must be i64: candidates ", candidates);
  require(candidates.shape.rank() == 2 && candidates.shape[0] == h.shape[0], name, ": candidates must be [N, C]: h ", h, ", candidates ",
          candidates);
  check_valid(name, "h", h, valid);
  return {candidates.shape, kernels::compute_dtype(h.dtype)};
}

Tensor CandidateScores::forward(const Args&, const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid,
                                const Call<4>& call, Saved& saved) {
  const Tensor from = dense(h), rows = dense(table), items = dense(candidates), flags = dense(valid);
  const kernels::Candidates c = as_candidates(items, flags, h.size(1));
  for (std::int64_t n = 0; n < c.rows; ++n) {
    if (!c.takes_part(n)) continue;
    for (std::int64_t i = n * c.columns; i < (n + 1) * c.columns; ++i)
      require(c.item[i] >= 0 && c.item[i] < table.size(0), name, ": candidates must lie in [0, V): row ", n, ", column ", i - n * c.columns,
              " holds ", c.item[i], ", V is ", table.size(0));
  }
  const Tensor scores(call.out);
  dispatch_floating(name, h.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::candidate_scores(c, from.data<const T>(), rows.data<const T>(), scores.data<kernels::Compute<T>>());
  });
  if (call.records()) saved = {from, rows, items, flags};
  return scores;
}

// s_nc = h_n . table[i(n, c)]: dh_n = sum_c ds_nc table[i(n, c)], dtable[v] = the sum of ds_nc h_n over all (n, c) with i(n, c) = v.
Grads<4> CandidateScores::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<4> needs) {
  const Tensor ds = dense(dy);
  const std::int64_t width = saved.h.size(1);
  const kernels::Candidates c = as_candidates(saved.candidates, saved.valid, width);
  Grads<4> grads;
  dispatch_floating(name, saved.h.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto* const weights = ds.data<const kernels::Compute<T>>();
    if (needs[0]) {
      const Tensor dh(saved.h.spec());
      kernels::candidate_scores_backward(c, saved.table.data<const T>(), weights, dh.data<T>());
      grads[0] = dh;
    }
    if (!needs[1]) return;
    const kernels::RowGroups groups(named_rows(c), saved.table.size(0));
    const kernels::GroupTerms<T> terms{.rows = saved.h.data<const T>(), .weight = weights, .positions_per_row = c.columns};
    if (args.sparse) {
      const Tensor indices =
          Tensor::from(std::span<const std::int64_t>(groups.row.data(), static_cast<std::size_t>(groups.count)), {groups.count});
      const Tensor rows({groups.count, width}, saved.h.dtype());
      kernels::sum_groups(groups, terms, width, kernels::GroupTarget::group_number, rows.data<T>());
      grads[1] = Gradient::rows(indices, rows, saved.table.shape(), true);
    } else {
      const Tensor dtable = Tensor::zeros(saved.table.shape(), saved.table.dtype());
      kernels::sum_groups(groups, terms, width, kernels::GroupTarget::table_row, dtable.data<T>());
      grads[1] = dtable;
    }
  });
  return grads;
}

std::array<Spec, 2> RankingLoss::spec(const Args& args, const Spec& scores, const Spec& valid, const Spec& log_q) {
  require<DTypeError>(scores.dtype == DType::f32 || scores.dtype == DType::f64, name, ": scores must be f32 or f64: scores ", scores);
  require(scores.shape.rank() == 2 && scores.shape[1] >= 2, name, ": scores must be [N, 1 + k] with k >= 1 negatives: scores ", scores);
  check_valid(name, "scores", scores, valid);
  const bool gbce = args.kind == RankingLossKind::gbce;
  require<ArgumentError>(!gbce || (args.calibration >= 0 && args.calibration <= 1), name,
                         ": the calibration of gbce must lie in [0, 1]: ", args.calibration);
  require<ArgumentError>(!gbce || args.items >= scores.shape[1], name, ": gbce needs more items in the catalogue than negatives: items ",
                         args.items, ", negatives ", scores.shape[1] - 1);
  if (log_q.present) {
    check_floating(name, "log_q", log_q);
    require(args.kind == RankingLossKind::sampled_softmax && log_q.shape == scores.shape, name,
            ": log_q belongs to sampled_softmax and must have the shape of scores: scores ", scores, ", log_q ", log_q);
  }
  return loss_specs(scores.dtype);
}

std::array<Tensor, 2> RankingLoss::forward(const Args& args, const Tensor& scores, const Tensor& valid, const Tensor& log_q,
                                           const Call<3, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor from = dense(scores), flags = dense(valid), corrections = log_q.defined() ? converted(log_q, DType::f32) : log_q;
  const std::int64_t rows = scores.size(0), columns = scores.size(1);
  const kernels::RankingTerms terms = ranking_terms(args, flags, corrections, columns);
  double count = 0;
  for (std::int64_t n = 0; n < rows; ++n) count += terms.takes_part(n);
  const Tensor losses(Shape{rows}, scores.dtype());
  with_compute_type(scores.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::ranking_loss(terms, from.data<const T>(), rows, columns, losses.data<T>());
  });
  const double scale = args.reduction.scale(count);
  if (call.records()) saved = {.scores = from, .valid = flags, .log_q = corrections, .scale = scale};
  return loss_outputs(scores.dtype(), sum_in_order(losses) * scale, count);
}

// Pairwise: d/ds softplus(-s) = -sigmoid(-s), d/ds_j softplus(s_j) = sigmoid(s_j), each times its weight. Softmax: probability of the
// column among the corrected scores, less 1 for the positive.
Grads<3> RankingLoss::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3>) {
  const Tensor ds = reuse_or_new(saved.scores);
  const std::int64_t rows = ds.size(0), columns = ds.size(1);
  with_compute_type(ds.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::ranking_loss_backward(ranking_terms(args, saved.valid, saved.log_q, columns), saved.scores.data<const T>(), rows, columns,
                                   saved.scale * loss_gradient(dy), ds.data<T>());
  });
  return {ds, {}, {}};
}

}  // namespace ops

Tensor candidate_scores(const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid, bool sparse) {
  return apply<ops::CandidateScores>({.sparse = sparse}, h, table, candidates, valid);
}

Loss ranking_loss(const Tensor& scores, const Tensor& valid, const ops::RankingLoss::Args& options, const Tensor& log_q) {
  return as_loss(apply<ops::RankingLoss>(options, scores, valid, log_q));
}

Loss candidate_loss(const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid,
                    const CandidateLossOptions& options) {
  const ops::RankingLoss::Args args{
      .kind = options.kind, .calibration = options.calibration, .items = options.items, .reduction = options.reduction};
  const Tensor scores = candidate_scores(h, table, candidates, valid, options.sparse);
  Tensor log_q;
  if (options.log_q.defined()) {
    require<GraphError>(options.log_q.is_constant(), "candidate_loss: log_q has no derivative, so it must be a constant: log_q ",
                        options.log_q);
    require(is_floating(options.log_q.dtype()) && options.log_q.shape() == Shape{table.size(0)},
            "candidate_loss: log_q must be [V] of a floating type: table ", table, ", log_q ", options.log_q);
    // A padding row's candidates may be anything: they read as row 0, and what is read there is not used.
    const Tensor items = ops::dense(candidates), flags = ops::dense(valid), of_items = ops::converted(options.log_q, DType::f32);
    std::vector<std::int64_t> rows = ops::named_rows(ops::as_candidates(items, flags, 1));
    std::ranges::replace(rows, std::int64_t{-1}, std::int64_t{0});
    log_q = Tensor(candidates.shape(), DType::f32);
    kernels::gather_rows(of_items.data<const float>(), {rows}, 1, 1.0, log_q.data<float>());
  }
  return ranking_loss(scores, valid, args, log_q);
}

}  // namespace capstan
