#include "autograd/ops/loss.h"

#include <numeric>

#include "autograd/kernels/loss.h"
#include "autograd/kernels/scratch.h"

namespace capstan {
namespace detail {

std::array<Spec, 2> loss_specs(DType operand) { return {Spec{Shape{}, kernels::compute_dtype(operand)}, Spec{Shape{}, DType::f64}}; }

std::array<Tensor, 2> loss_outputs(DType operand, double value, double count) {
  return {Tensor::scalar(value, kernels::compute_dtype(operand)), Tensor::scalar(count, DType::f64)};
}

double sum_in_order(const Tensor& losses) {
  double sum = 0;
  dispatch_floating("loss", losses.dtype(), [&](auto zero) {
    for (const auto v : losses.span<const decltype(zero)>()) sum += static_cast<double>(v);
  });
  return sum;
}

Tensor reuse_or_new(const Tensor& saved) { return saved.storage().unique() ? saved : Tensor(saved.spec()); }

}  // namespace detail

namespace {

std::int64_t rows_of(const Tensor& t) { return t.numel() == 0 ? 0 : t.numel() / t.size(-1); }

Tensor row_values(const Tensor& t) { return Tensor(Shape{rows_of(t)}, kernels::compute_dtype(t.dtype())); }

template <class T>
T* writable(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

void check_logits(std::string_view op, const Spec& logits) {
  require<DTypeError>(is_floating(logits.dtype), op, ": needs a floating type: logits ", logits);
  require(logits.shape.rank() >= 1 && logits.shape[-1] > 0, op, ": logits must be [..., V] with V > 0: logits ", logits);
}

void check_same(std::string_view op, const Spec& logits, const Spec& targets) {
  require<DTypeError>(targets.dtype == logits.dtype, op, ": element types must agree: logits ", logits, ", targets ", targets);
  require(targets.shape == logits.shape, op, ": targets must have the shape of logits: logits ", logits, ", targets ", targets);
}

kernels::ClassTargets class_targets(const CrossEntropy::Args& args, const Tensor& targets) {
  return {.target = targets.data<const std::int64_t>(),
          .ignore_index = args.ignore_index,
          .smoothing = args.label_smoothing,
          .class_weights = args.class_weights.defined() ? args.class_weights.span<const float>().data() : nullptr};
}

}  // namespace

std::array<Spec, 2> CrossEntropy::spec(const Args& args, const Spec& logits, const Spec& targets) {
  check_logits(name, logits);
  require<DTypeError>(targets.dtype == DType::i64, name, ": targets must be i64: targets ", targets);
  require(targets.shape == logits.shape.without(-1), name, ": targets must have the shape of logits without the last axis: logits ", logits,
          ", targets ", targets);
  require(args.label_smoothing >= 0 && args.label_smoothing <= 1, name, ": label smoothing must lie in [0, 1]: ", args.label_smoothing);
  const Tensor& weights = args.class_weights;
  require(!weights.defined() || (weights.spec() == Spec{Shape{logits.shape[-1]}, DType::f32} && weights.is_contiguous()), name,
          ": class weights must be contiguous f32 [V]: logits ", logits, ", class_weights ", weights);
  return detail::loss_specs(logits.dtype);
}

std::array<Tensor, 2> CrossEntropy::forward(const Args& args, const Tensor& logits, const Tensor& targets, Saved& saved) {
  saved = {.logits = logits.contiguous(), .targets = targets.contiguous(), .log_sums = row_values(logits)};
  const std::int64_t classes = logits.size(-1), rows = rows_of(logits);
  const kernels::ClassTargets by_class = class_targets(args, saved.targets);
  double count = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t target = by_class.target[r];
    if (target == args.ignore_index) continue;
    require(target >= 0 && target < classes, name, ": targets must lie in [0, V) or be the ignore index ", args.ignore_index, ": position ",
            r, " holds ", target, ", V is ", classes);
    count += by_class.class_weights != nullptr ? static_cast<double>(by_class.class_weights[target]) : 1.0;
  }
  const Tensor losses = row_values(logits);
  dispatch_floating(name, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    kernels::cross_entropy(saved.logits.data<const T>(), by_class, rows, classes, losses.data<C>(), saved.log_sums.data<C>());
  });
  saved.scale = args.reduction.scale(count);
  return detail::loss_outputs(logits.dtype(), detail::sum_in_order(losses) * saved.scale, count);
}

// With q_c the smoothed target distribution and w_c the class weights, loss = sum_c q_c w_c (log Z - x_c), and d(log Z)/dx_c = p_c; so
// dx_c = p_c sum(q w) - q_c w_c.
Grads<2> CrossEntropy::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs) {
  if (!needs[0]) return {};
  const Tensor dx = detail::reuse_or_new(saved.logits);
  dispatch_floating(name, dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::cross_entropy_backward(saved.logits.data<const T>(), class_targets(args, saved.targets), rows_of(dx), dx.size(-1),
                                    saved.log_sums.data<const kernels::Compute<T>>(), saved.scale * dy[0].item(), dx.data<T>());
  });
  return {dx, {}};
}

std::array<Spec, 2> SoftCrossEntropy::spec(const Args&, const Spec& logits, const Spec& targets) {
  check_logits(name, logits);
  check_same(name, logits, targets);
  return detail::loss_specs(logits.dtype);
}

std::array<Tensor, 2> SoftCrossEntropy::forward(const Args& args, const Tensor& logits, const Tensor& targets, Saved& saved) {
  saved = {.logits = logits.contiguous(), .targets = targets.contiguous(), .log_sums = row_values(logits)};
  const Tensor losses = row_values(logits);
  dispatch_floating(name, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    kernels::soft_cross_entropy(saved.logits.data<const T>(), saved.targets.data<const T>(), rows_of(logits), logits.size(-1),
                                losses.data<C>(), saved.log_sums.data<C>());
  });
  const auto count = static_cast<double>(rows_of(logits));
  saved.scale = args.reduction.scale(count);
  return detail::loss_outputs(logits.dtype(), detail::sum_in_order(losses) * saved.scale, count);
}

// loss = sum_c t_c (log Z - x_c): dx_c = p_c sum(t) - t_c, dt_c = log Z - x_c.
Grads<2> SoftCrossEntropy::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs) {
  const Tensor dx = needs[0] ? detail::reuse_or_new(saved.logits) : Tensor{}, dt = needs[1] ? Tensor(saved.targets.spec()) : Tensor{};
  dispatch_floating(name, saved.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::soft_cross_entropy_backward(saved.logits.data<const T>(), saved.targets.data<const T>(), rows_of(saved.logits),
                                         saved.logits.size(-1), saved.log_sums.data<const kernels::Compute<T>>(),
                                         saved.scale * dy[0].item(), writable<T>(dx), writable<T>(dt));
  });
  return {needs[0] ? Gradient(dx) : Gradient{}, needs[1] ? Gradient(dt) : Gradient{}};
}

std::array<Spec, 2> BceWithLogits::spec(const Args& args, const Spec& logits, const Spec& targets) {
  require<DTypeError>(is_floating(logits.dtype), name, ": needs a floating type: logits ", logits);
  check_same(name, logits, targets);
  const Tensor& weights = args.weights;
  require(!weights.defined() || weights.spec() == Spec{logits.shape, DType::f32}, name,
          ": weights must be f32 of the shape of logits: logits ", logits, ", weights ", weights);
  return detail::loss_specs(logits.dtype);
}

std::array<Tensor, 2> BceWithLogits::forward(const Args& args, const Tensor& logits, const Tensor& targets, Saved& saved) {
  saved = {.logits = logits.contiguous(), .targets = targets.contiguous(), .weights = {}};
  if (args.weights.defined()) saved.weights = args.weights.contiguous();
  double sum = 0, count = static_cast<double>(logits.numel());
  if (saved.weights.defined()) count = detail::sum_in_order(saved.weights);
  dispatch_floating(name, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum = kernels::binary_cross_entropy(saved.logits.data<const T>(), saved.targets.data<const T>(), writable<float>(saved.weights),
                                           logits.numel());
  });
  saved.scale = args.reduction.scale(count);
  return detail::loss_outputs(logits.dtype(), sum * saved.scale, count);
}

// loss = w (softplus(x) - x t): dx = w (sigmoid(x) - t), dt = -w x.
Grads<2> BceWithLogits::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs) {
  const Tensor dx = needs[0] ? detail::reuse_or_new(saved.logits) : Tensor{}, dt = needs[1] ? Tensor(saved.targets.spec()) : Tensor{};
  dispatch_floating(name, saved.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::binary_cross_entropy_backward(saved.logits.data<const T>(), saved.targets.data<const T>(), writable<float>(saved.weights),
                                              saved.logits.numel(), saved.scale * dy[0].item(), writable<T>(dx), writable<T>(dt));
  });
  return {needs[0] ? Gradient(dx) : Gradient{}, needs[1] ? Gradient(dt) : Gradient{}};
}

namespace {

Loss as_loss(const std::array<Tensor, 2>& outputs) { return {outputs[0], outputs[1].item()}; }

}  // namespace

Loss cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropy::Args& options) {
  return as_loss(apply<CrossEntropy>(options, logits, targets));
}
Loss soft_cross_entropy(const Tensor& logits, const Tensor& targets, const SoftCrossEntropy::Args& options) {
  return as_loss(apply<SoftCrossEntropy>(options, logits, targets));
}
Loss bce_with_logits(const Tensor& logits, const Tensor& targets, const BceWithLogits::Args& options) {
  return as_loss(apply<BceWithLogits>(options, logits, targets));
}

}  // namespace capstan
