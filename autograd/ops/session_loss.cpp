#include "autograd/ops/session_loss.h"

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/kernels/product.h"
#include "autograd/kernels/scratch.h"
#include "autograd/ops/compute_type.h"

namespace capstan {
namespace {

using detail::converted;
using detail::input_pointer;
using detail::narrowed;
using detail::widened;
using detail::with_compute_type;

bool absent(const Spec& s) { return s.shape.rank() == 0; }

void check_rule(std::string_view op, const SessionLossRule& rule) {
  require(rule.elu >= 0 && (rule.elu == 0 || rule.kind != SessionLossKind::cross_entropy), op,
          ": elu must be >= 0, and 0 for cross entropy: elu ", rule.elu);
  require(rule.bpreg >= 0, op, ": bpreg must be >= 0: bpreg ", rule.bpreg);
}

void check_columns(std::string_view op, const Spec& correction, const Spec& values, std::int64_t columns) {
  require(absent(correction) || correction.shape == Shape{columns}, op, ": correction must have one number a column: correction ", correction,
          ", columns ", columns);
  require<DTypeError>(absent(correction) || correction.dtype == values.dtype, op, ": correction must have the type of the scores: correction ",
                      correction, ", scores or hidden ", values);
}

// Runs the loss in place of the scores; returns the sum. `column_add` has their type.
Tensor run_loss(const SessionLossRule& rule, const Tensor& scores, const Tensor& column_add, const Tensor& items) {
  return with_compute_type(scores.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const double sum = kernels::session_loss({.rows = scores.size(0), .columns = scores.size(1), .scores = scores.data<T>(),
                                              .column_add = input_pointer<T>(column_add), .items = input_pointer<std::int64_t>(items)}, rule);
    return Tensor::scalar(sum, scores.dtype());
  });
}

// factor * t in a type
Tensor scaled(const Tensor& t, double factor) {
  if (factor == 1) return t;
  Tensor out(t.spec());
  with_compute_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const from = t.data<const T>();
    T* const to = out.data<T>();
    for (std::int64_t i = 0; i < t.numel(); ++i) to[i] = static_cast<T>(factor) * from[i];
  });
  return out;
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
  require<DTypeError>(is_floating(scores.dtype), name, ": scores must be of a floating type: scores ", scores);
  require(scores.shape.rank() == 2 && scores.shape[0] <= scores.shape[1], name,
          ": scores must be [M, N] with M <= N, column i being the target of row i: scores ", scores);
  check_columns(name, correction, scores, scores.shape[1]);
  require(absent(items) || items.shape == Shape{scores.shape[1]}, name, ": items must be one a column: items ", items, ", scores ", scores);
  require<DTypeError>(absent(items) || items.dtype == DType::i64, name, ": items must be i64: items ", items);
  check_rule(name, rule);
  return {Shape{}, detail::compute_type(scores.dtype)};
}

Tensor SessionLoss::forward(const Args& rule, const Tensor& scores, const Tensor& correction, const Tensor& items, Saved& saved) {
  const DType type = detail::compute_type(scores.dtype());
  saved.dtype = scores.dtype();
  saved.gradient = scores.dtype() == type ? scores.clone() : converted(scores, type);
  const Tensor add = correction.defined() ? scaled(widened(correction), -1) : Tensor{};
  return run_loss(rule, saved.gradient, add, items.defined() ? items.contiguous() : items);
}

// forward has left g = dL/dr. d(scores) = dy g; the correction enters every row with -1, so its gradient is -dy times the column sums of g.
Grads<3> SessionLoss::backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  Grads<3> grads;
  const double factor = dy.item();
  if (needs[0]) grads[0] = narrowed(scaled(saved.gradient, factor), saved.dtype);
  if (needs[1]) grads[1] = narrowed(column_sums(saved.gradient, -factor), saved.dtype);
  return grads;
}

// ---- scores from a table

Spec SampledSessionLoss::spec(const Args& args, const Spec& hidden, const Spec& table, const Spec& bias, const Spec& candidates,
                              const Spec& correction) {
  require<DTypeError>(is_floating(hidden.dtype) && table.dtype == hidden.dtype && (absent(bias) || bias.dtype == hidden.dtype), name,
                      ": hidden, table and bias must have one floating type: hidden ", hidden, ", table ", table, ", bias ", bias);
  require(hidden.shape.rank() == 2 && table.shape.rank() == 2 && hidden.shape[1] == table.shape[1], name,
          ": hidden must be [M, D] and table [V, D]: hidden ", hidden, ", table ", table);
  require(absent(bias) || bias.shape == Shape{table.shape[0]}, name, ": bias must have one number a table row: bias ", bias, ", table ", table);
  require<DTypeError>(candidates.dtype == DType::i64, name, ": candidates must be i64: candidates ", candidates);
  require(candidates.shape.rank() == 1 && candidates.shape[0] >= hidden.shape[0], name,
          ": candidates must be [N] and begin with a target for every row: candidates ", candidates, ", hidden ", hidden);
  check_columns(name, correction, hidden, candidates.shape[0]);
  check_rule(name, args.rule);
  return {Shape{}, detail::compute_type(hidden.dtype)};
}

Tensor SampledSessionLoss::forward(const Args& args, const Tensor& hidden, const Tensor& table, const Tensor& bias, const Tensor& candidates,
                                   const Tensor& correction, Saved& saved) {
  const std::int64_t m = hidden.size(0), n = candidates.numel(), width = hidden.size(1);
  saved.table = table.spec();
  saved.hidden = widened(hidden);
  saved.candidates = candidates.contiguous();
  for (const std::int64_t row : saved.candidates.span<const std::int64_t>())
    require(row >= 0 && row < table.size(0), name, ": candidates must be rows of the table: candidate ", row, ", rows ", table.size(0));
  const auto gathered = [&](const Tensor& t, const Shape& shape) {
    Tensor rows(shape, t.dtype());
    const Tensor source = t.contiguous();
    dispatch_floating(name, t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::gather_rows(source.data<const T>(), {.indices = saved.candidates.span<const std::int64_t>()}, n == 0 ? 1 : rows.numel() / n, 1.0,
                           rows.data<T>());
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
    kernels::multiply(saved.hidden.data<const T>(), saved.rows.data<const T>(), saved.gradient.data<T>(), {.m = m, .n = n, .k = width, .transpose_b = true});
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
  const auto rows = [&](const Tensor& values, const Shape& shape) {
    return Gradient::rows(saved.candidates, converted(values, saved.table.dtype), shape);
  };
  if (needs[0]) grads[0] = narrowed(scaled(product(saved.gradient, saved.rows, {.m = m, .n = width, .k = n}), factor), saved.table.dtype);
  if (needs[1]) {
    const Tensor small = scaled(saved.hidden, factor);
    grads[1] = rows(product(saved.gradient, small, {.m = n, .n = width, .k = m, .transpose_a = true}), saved.table.shape);
  }
  if (needs[2]) grads[2] = rows(column_sums(saved.gradient, factor), Shape{saved.table.shape[0]});
  if (needs[4]) grads[4] = narrowed(column_sums(saved.gradient, -factor), saved.table.dtype);
  return grads;
}

}  // namespace capstan
