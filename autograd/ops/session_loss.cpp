#include "autograd/ops/session_loss.h"

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/kernels/product.h"
#include "autograd/kernels/session_loss.h"
#include "autograd/ops/operands.h"

namespace capstan::ops {
namespace {

kernels::SessionLossKind kind_of(SessionLossKind kind) {
  switch (kind) {
    case SessionLossKind::cross_entropy: return kernels::SessionLossKind::cross_entropy;
    case SessionLossKind::bpr: return kernels::SessionLossKind::bpr;
    case SessionLossKind::top1: return kernels::SessionLossKind::top1;
    case SessionLossKind::top1_max: return kernels::SessionLossKind::top1_max;
    case SessionLossKind::bpr_max: return kernels::SessionLossKind::bpr_max;
  }
  throw InternalError("session_loss: unknown kind");
}

void check_rule(std::string_view op, const SessionLossRule& rule) {
  require<ArgumentError>(rule.elu >= 0 && (rule.elu == 0 || rule.kind != SessionLossKind::cross_entropy), op,
                         ": elu must be >= 0, and 0 for cross entropy: elu ", rule.elu);
  require<ArgumentError>(rule.bpreg >= 0, op, ": bpreg must be >= 0: bpreg ", rule.bpreg);
}

// Runs the loss in place of the scores; returns the sum. `column_add` has their type.
Tensor run_loss(const SessionLossRule& rule, const Tensor& scores, const Tensor& column_add, const Tensor& items) {
  return with_compute_type(scores.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const double sum = kernels::session_loss({.rows = scores.size(0),
                                              .columns = scores.size(1),
                                              .scores = scores.data<T>(),
                                              .column_add = pointer<const T>(column_add),
                                              .items = pointer<const std::int64_t>(items)},
                                             {.kind = kind_of(rule.kind), .elu = rule.elu, .bpreg = rule.bpreg});
    return Tensor::scalar(sum, scores.dtype());
  });
}

// factor * the sum over the rows of each column
Tensor column_sums(const Tensor& t, double factor) {
  const Tensor out(Shape{t.size(1)}, t.dtype());
  kernels::sum_to_shape(t, out);
  return scaled(out, factor);
}

}  // namespace

// ---- scores given

Spec SessionLoss::spec(const Args& rule, const Spec& scores, const Spec& correction, const Spec& items) {
  check_floating(name, "scores", scores);
  require(scores.shape.rank() == 2 && scores.shape[0] <= scores.shape[1], name,
          ": scores must be [M, N] with M <= N, column i being the target of row i: scores ", scores);
  check_vector(name, {"correction", correction}, scores.shape[1], {"scores", scores});
  require(!items.present || items.shape == Shape{scores.shape[1]}, name, ": items must be one a column: items ", items, ", scores ",
          scores);
  require<DTypeError>(!items.present || items.dtype == DType::i64, name, ": items must be i64: items ", items);
  check_rule(name, rule);
  return {Shape{}, compute_type(scores.dtype)};
}

Tensor SessionLoss::forward(const Args& rule, const Tensor& scores, const Tensor& correction, const Tensor& items, const Call<3>& call,
                            Saved& saved) {
  const Tensor gradient = call.out.dtype == scores.dtype() ? scores.clone() : widened(scores);  // first the scores
  const Tensor add = correction.defined() ? scaled(widened(correction), -1) : correction;
  const Tensor loss = run_loss(rule, gradient, add, dense(items));
  if (call.records()) saved = {gradient};
  return loss;
}

// forward has left g = dL/dr, in the computing type. d(scores) = dy g; the correction enters every row with -1, so its gradient is -dy
// times the column sums of g.
Grads<3> SessionLoss::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  Grads<3> grads;
  const double factor = dy.item();
  if (needs[0]) grads[0] = scaled(saved.gradient, factor);
  if (needs[1]) grads[1] = column_sums(saved.gradient, -factor);
  return grads;
}

// ---- scores from a table

Spec SampledSessionLoss::spec(const Args& args, const Spec& hidden, const Spec& table, const Spec& bias, const Spec& candidates,
                              const Spec& correction) {
  require<DTypeError>(is_floating(hidden.dtype) && table.dtype == hidden.dtype, name,
                      ": hidden and table must have one floating type: hidden ", hidden, ", table ", table);
  require(hidden.shape.rank() == 2 && table.shape.rank() == 2 && hidden.shape[1] == table.shape[1], name,
          ": hidden must be [M, D] and table [V, D]: hidden ", hidden, ", table ", table);
  check_vector(name, {"bias", bias}, table.shape[0], {"table", table});
  require<DTypeError>(candidates.dtype == DType::i64, name, ": candidates must be i64: candidates ", candidates);
  require(candidates.shape.rank() == 1 && candidates.shape[0] >= hidden.shape[0], name,
          ": candidates must be [N] and begin with a target for every row: candidates ", candidates, ", hidden ", hidden);
  check_vector(name, {"correction", correction}, candidates.shape[0], {"hidden", hidden});
  check_rule(name, args.rule);
  return {Shape{}, compute_type(hidden.dtype)};
}

Tensor SampledSessionLoss::forward(const Args& args, const Tensor& hidden, const Tensor& table, const Tensor& bias,
                                   const Tensor& candidates, const Tensor& correction, const Call<5>&, Saved& saved) {
  const std::int64_t m = hidden.size(0), n = candidates.numel(), width = hidden.size(1);
  saved.table = table.spec();
  saved.hidden = widened(hidden);
  saved.candidates = dense(candidates);
  for (const std::int64_t row : saved.candidates.span<const std::int64_t>())
    require(row >= 0 && row < table.size(0), name, ": candidates must be rows of the table: candidate ", row, ", rows ", table.size(0));
  const auto gathered = [&](const Tensor& t, const Shape& shape) {
    Tensor rows(shape, t.dtype());
    const Tensor source = dense(t);
    dispatch_floating(name, t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::gather_rows(source.data<const T>(), {.indices = saved.candidates.span<const std::int64_t>()}, n == 0 ? 1 : rows.numel() / n,
                           1.0, rows.data<T>());
    });
    return widened(rows);
  };
  saved.rows = gathered(table, Shape{n, width});
  const DType type = saved.hidden.dtype();
  Tensor add = bias.defined() ? gathered(bias, Shape{n}) : Tensor{};
  if (correction.defined()) {
    if (!add.defined()) add = Tensor::zeros(Shape{n}, type);
    const Tensor minus = widened(correction);
    with_compute_type(type, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t j = 0; j < n; ++j) add.data<T>()[j] -= minus.data<const T>()[j];
    });
  }
  saved.gradient = Tensor(Shape{m, n}, type);
  with_compute_type(type, [&](auto zero) {
    using T = decltype(zero);
    kernels::multiply(saved.hidden.data<const T>(), saved.rows.data<const T>(), saved.gradient.data<T>(),
                      {.m = m, .n = n, .k = width, .transpose_b = true});
  });
  return run_loss(args.rule, saved.gradient, add, args.mask_collisions ? saved.candidates : Tensor{});
}

// forward has left g = dL/dr of the scores r = h Y^T + b, Y the candidates' rows: dh = dy g Y, dY = g^T (dy h), db = dy times the column
// sums of g. The small factors carry dy.
Grads<5> SampledSessionLoss::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<5> needs) {
  const std::int64_t m = saved.gradient.size(0), n = saved.gradient.size(1), width = saved.hidden.size(1);
  const DType type = saved.hidden.dtype();
  const double factor = dy.item();
  Grads<5> grads;
  const auto product = [&](const Tensor& a, const Tensor& b, const kernels::Product& p) {
    Tensor out(Shape{p.m, p.n}, type);
    with_compute_type(type, [&](auto zero) {
      using T = decltype(zero);
      kernels::multiply(a.data<const T>(), b.data<const T>(), out.data<T>(), p);
    });
    return out;
  };
  const auto rows = [&](const Tensor& values, const Shape& shape) { return Gradient::rows(saved.candidates, values, shape); };
  if (needs[0]) grads[0] = scaled(product(saved.gradient, saved.rows, {.m = m, .n = width, .k = n}), factor);
  if (needs[1]) {
    const Tensor small = scaled(saved.hidden, factor);
    grads[1] = rows(product(saved.gradient, small, {.m = n, .n = width, .k = m, .transpose_a = true}), saved.table.shape);
  }
  if (needs[2]) grads[2] = rows(column_sums(saved.gradient, factor), Shape{saved.table.shape[0]});
  if (needs[4]) grads[4] = column_sums(saved.gradient, -factor);
  return grads;
}

}  // namespace capstan::ops
