#include "autograd/ops/loss.h"

#include <numeric>

#include "autograd/kernels/loss.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {

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

double loss_gradient(const std::array<Tensor, 2>& dy) { return dy[0].defined() ? dy[0].item() : 0.0; }

Tensor reuse_or_new(const Tensor& saved) { return saved.storage().unique() ? saved : Tensor(saved.spec()); }

namespace {

Tensor row_values(const Tensor& t) { return Tensor(Shape{rows_of(t)}, kernels::compute_dtype(t.dtype())); }

void check_logits(std::string_view op, const Spec& logits) {
  check_floating(op, "logits", logits);
  require(logits.shape.rank() >= 1 && logits.shape[-1] > 0, op, ": logits must be [..., V] with V > 0: logits ", logits);
}

void check_same(std::string_view op, const Spec& logits, const Spec& targets) {
  require<DTypeError>(targets.dtype == logits.dtype, op, ": element types must agree: logits ", logits, ", targets ", targets);
  require(targets.shape == logits.shape, op, ": targets must have the shape of logits: logits ", logits, ", targets ", targets);
}

// Weights of any floating type as the kernels read them: dense f32.
Tensor as_weights(const Tensor& weights) { return weights.defined() ? converted(weights, DType::f32) : weights; }

kernels::ClassTargets class_targets(const CrossEntropy::Args& args, const Tensor& targets, const Tensor& weights) {
  return {.target = targets.data<const std::int64_t>(),
          .ignore_index = args.ignore_index,
          .smoothing = args.label_smoothing,
          .class_weights = pointer<const float>(weights)};
}

}  // namespace

std::array<Spec, 2> CrossEntropy::spec(const Args& args, const Spec& logits, const Spec& targets, const Spec& class_weights) {
  check_logits(name, logits);
  require<DTypeError>(targets.dtype == DType::i64, name, ": targets must be i64: targets ", targets);
  require(targets.shape == logits.shape.without(-1), name, ": targets must have the shape of logits without the last axis: logits ", logits,
          ", targets ", targets);
  require<ArgumentError>(args.label_smoothing >= 0 && args.label_smoothing <= 1, name,
                         ": label smoothing must lie in [0, 1]: ", args.label_smoothing);
  if (class_weights.present) {
    check_floating(name, "class_weights", class_weights);
    require(class_weights.shape == Shape{logits.shape[-1]}, name, ": class_weights must be [V]: logits ", logits, ", class_weights ",
            class_weights);
  }
  return loss_specs(logits.dtype);
}

std::array<Tensor, 2> CrossEntropy::forward(const Args& args, const Tensor& logits, const Tensor& targets, const Tensor& class_weights,
                                            const Call<3, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor from = dense(logits), classes_of = dense(targets), weights = as_weights(class_weights), log_sums = row_values(logits);
  const std::int64_t classes = logits.size(-1), rows = rows_of(logits);
  const kernels::ClassTargets by_class = class_targets(args, classes_of, weights);
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
    kernels::cross_entropy(from.data<const T>(), by_class, rows, classes, losses.data<C>(), log_sums.data<C>());
  });
  const double scale = args.reduction.scale(count);
  if (call.records()) saved = {.logits = from, .targets = classes_of, .weights = weights, .log_sums = log_sums, .scale = scale};
  return loss_outputs(logits.dtype(), sum_in_order(losses) * scale, count);
}

// With q_c the smoothed target distribution and w_c the class weights, loss = sum_c q_c w_c (log Z - x_c), and d(log Z)/dx_c = p_c; so
// dx_c = p_c sum(q w) - q_c w_c.
Grads<3> CrossEntropy::backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3>) {
  const Tensor dx = reuse_or_new(saved.logits);
  dispatch_floating(name, dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::cross_entropy_backward(saved.logits.data<const T>(), class_targets(args, saved.targets, saved.weights), rows_of(dx),
                                    dx.size(-1), saved.log_sums.data<const kernels::Compute<T>>(), saved.scale * loss_gradient(dy),
                                    dx.data<T>());
  });
  return {dx, {}, {}};
}

std::array<Spec, 2> SoftCrossEntropy::spec(const Args&, const Spec& logits, const Spec& targets) {
  check_logits(name, logits);
  check_same(name, logits, targets);
  return loss_specs(logits.dtype);
}

std::array<Tensor, 2> SoftCrossEntropy::forward(const Args& args, const Tensor& logits, const Tensor& targets,
                                                const Call<2, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor from = dense(logits), wanted = dense(targets), log_sums = row_values(logits), losses = row_values(logits);
  dispatch_floating(name, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    kernels::soft_cross_entropy(from.data<const T>(), wanted.data<const T>(), rows_of(logits), logits.size(-1), losses.data<C>(),
                                log_sums.data<C>());
  });
  const auto count = static_cast<double>(rows_of(logits));
  const double scale = args.reduction.scale(count);
  if (call.records()) saved = {.logits = from, .targets = wanted, .log_sums = log_sums, .scale = scale};
  return loss_outputs(logits.dtype(), sum_in_order(losses) * scale, count);
}

// loss = sum_c t_c (log Z - x_c): dx_c = p_c sum(t) - t_c, dt_c = log Z - x_c.
Grads<2> SoftCrossEntropy::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs) {
  const Tensor dx = needs[0] ? reuse_or_new(saved.logits) : Tensor{}, dt = new_if(needs[1], saved.targets.spec());
  dispatch_floating(name, saved.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::soft_cross_entropy_backward(saved.logits.data<const T>(), saved.targets.data<const T>(), rows_of(saved.logits),
                                         saved.logits.size(-1), saved.log_sums.data<const kernels::Compute<T>>(),
                                         saved.scale * loss_gradient(dy), pointer<T>(dx), pointer<T>(dt));
  });
  return {dx, dt};
}

std::array<Spec, 2> BceWithLogits::spec(const Args&, const Spec& logits, const Spec& targets, const Spec& weights) {
  check_floating(name, "logits", logits);
  check_same(name, logits, targets);
  if (weights.present) {
    check_floating(name, "weights", weights);
    require(weights.shape == logits.shape, name, ": weights must have the shape of logits: logits ", logits, ", weights ", weights);
  }
  return loss_specs(logits.dtype);
}

std::array<Tensor, 2> BceWithLogits::forward(const Args& args, const Tensor& logits, const Tensor& targets, const Tensor& weights,
                                             const Call<3, std::array<Spec, 2>>& call, Saved& saved) {
  const Tensor from = dense(logits), wanted = dense(targets), factors = as_weights(weights);
  const double count = factors.defined() ? sum_in_order(factors) : static_cast<double>(logits.numel());
  double sum = 0;
  dispatch_floating(name, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum = kernels::binary_cross_entropy(from.data<const T>(), wanted.data<const T>(), pointer<const float>(factors), logits.numel());
  });
  const double scale = args.reduction.scale(count);
  if (call.records()) saved = {.logits = from, .targets = wanted, .weights = factors, .scale = scale};
  return loss_outputs(logits.dtype(), sum * scale, count);
}

// loss = w (softplus(x) - x t): dx = w (sigmoid(x) - t), dt = -w x.
Grads<3> BceWithLogits::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3> needs) {
  const Tensor dx = needs[0] ? reuse_or_new(saved.logits) : Tensor{}, dt = new_if(needs[1], saved.targets.spec());
  dispatch_floating(name, saved.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::binary_cross_entropy_backward(saved.logits.data<const T>(), saved.targets.data<const T>(), pointer<const float>(saved.weights),
                                           saved.logits.numel(), saved.scale * loss_gradient(dy), pointer<T>(dx), pointer<T>(dt));
  });
  return {dx, dt, {}};
}

}  // namespace ops

Loss as_loss(const std::array<Tensor, 2>& outputs) { return {outputs[0], outputs[1].item()}; }

Loss cross_entropy(const Tensor& logits, const Tensor& targets, const ops::CrossEntropy::Args& options, const Tensor& class_weights) {
  return as_loss(apply<ops::CrossEntropy>(options, logits, targets, class_weights));
}
Loss soft_cross_entropy(const Tensor& logits, const Tensor& targets, const ops::SoftCrossEntropy::Args& options) {
  return as_loss(apply<ops::SoftCrossEntropy>(options, logits, targets));
}
Loss bce_with_logits(const Tensor& logits, const Tensor& targets, const ops::BceWithLogits::Args& options, const Tensor& weights) {
  return as_loss(apply<ops::BceWithLogits>(options, logits, targets, weights));
}

}  // namespace capstan
